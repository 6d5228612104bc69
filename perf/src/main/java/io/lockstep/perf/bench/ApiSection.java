package io.lockstep.perf.bench;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.view.ProtectionStatus;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What 200 clients that hammer the agent's socket do to the pauses of the VM that it protects: without and with them, in turn. */
final class ApiSection implements Section {
    private static final int CLIENTS = 200;
    private static final int MIB = 64;

    /** Pauses that one look tells of. */
    private static final int WINDOW = 256;

    @Override
    public String name() {
        return "api";
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        List<Double> quiet = new ArrayList<>();
        List<Double> load = new ArrayList<>();
        long answers = 0;
        double seconds = 0;
        try (Lab lab = new Lab(context, 25, "")) {
            String vm = "api";
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, MIB, "mb=32"), lab.directory())) {
                lab.protectWarm(vm, WINDOW);
                guest.awaitTicks(1);
                for (int round = 0; round < context.pick(2, 4); round++) {
                    windows(context, lab, vm, quiet);
                    AgentPaths paths = AgentPaths.under(lab.directory().resolve("host-a"));
                    long beganNs = System.nanoTime();
                    try (ApiClients clients = new ApiClients(paths.socket(), CLIENTS)) {
                        windows(context, lab, vm, load);
                        answers += clients.answers();
                        seconds += (System.nanoTime() - beganNs) / 1e9;
                    }
                }
            }
        }
        String what = "pause p99, median of windows of " + WINDOW;
        report.add(Figure.of(name(), what + ", quiet", median(quiet), "ms"));
        report.add(Figure.of(name(), what + ", " + CLIENTS + " clients", median(load), "ms")
                .against("quiet", median(quiet))
                .atMost(1.1));
        report.add(Figure.of(name(), CLIENTS + " clients' requests", answers / seconds, "1/s"));
    }

    /** The p99 of pauses, window by window; the first, in which the other kind of pauses may be, is left out. */
    private static void windows(BenchContext context, Lab lab, String vm, List<Double> p99) throws Exception {
        lab.awaitEpochs(vm, WINDOW);
        for (int i = 0; i < context.pick(2, 4); i++) {
            ProtectionStatus status = lab.awaitEpochs(vm, WINDOW);
            p99.add(status.recentPauseMs().p99());
        }
    }

    private static double median(List<Double> values) {
        double[] sorted = values.stream().mapToDouble(d -> d).toArray();
        Arrays.sort(sorted);
        return sorted.length == 0 ? Double.NaN : sorted[sorted.length / 2];
    }
}
