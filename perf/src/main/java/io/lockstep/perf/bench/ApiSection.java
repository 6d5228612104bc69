package io.lockstep.perf.bench;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.replication.protection.ProtectionSettings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What 200 clients that hammer the agent's socket do to the pauses of the VM that it protects: without and with them, in turn. */
final class ApiSection implements Section {
    private static final int CLIENTS = 200;
    private static final int MIB = 64;
    private static final String VM = "api";

    private static final int EPOCH_MS = 10;

    /** Pauses that one look tells of. */
    private static final int WINDOW = 256;

    @Override
    public String name() {
        return "api";
    }

    /** Short epochs: a window of them takes some seconds. */
    @Override
    public String configuration(boolean onPeer) {
        return SharedLab.epochs(VM, EPOCH_MS);
    }

    @Override
    public int quickSeconds() {
        return 18;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        List<Double> quiet = new ArrayList<>();
        List<Double> load = new ArrayList<>();
        long answers = 0;
        double seconds = 0;
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest =
                BenchGuest.boot(context, BenchGuest.Spec.micro(context, VM, MIB, "mb=32"), lab.directory())) {
            lab.protectWarm(VM, context.pick(20, WINDOW));
            guest.awaitTicks(1);
            long acked = lab.awaitEpochs(VM, 1).ackedEpoch();
            for (int round = 0; round < context.pick(1, 4); round++) {
                acked = windows(context, lab, acked, quiet);
                AgentPaths paths = AgentPaths.under(lab.directory().resolve("host-a"));
                long beganNs = System.nanoTime();
                try (ApiClients clients = new ApiClients(paths.socket(), CLIENTS)) {
                    acked = windows(context, lab, acked, load);
                    answers += clients.answers();
                    seconds += (System.nanoTime() - beganNs) / 1e9;
                }
            }
            lab.primary().unprotect(VM);
        }
        String what = "pause p99, median of windows of " + WINDOW;
        report.add(Figure.of(name(), what + ", quiet", median(quiet), "ms"));
        report.add(Figure.of(name(), what + ", " + CLIENTS + " clients", median(load), "ms")
                .against("quiet", median(quiet))
                .atMost(1.1));
        report.add(Figure.of(name(), CLIENTS + " clients' requests", answers / seconds, "1/s"));
    }

    /**
     * The p99 of pauses, window by window; each begins when the last pause of the other kind has left it. Asks seldom: this process is the one that
     * hammers, and its questions wait as those do.
     *
     * @param acked the last epoch of the other kind
     * @return the last one of this kind
     */
    private static long windows(BenchContext context, Lab lab, long acked, List<Double> p99) throws Exception {
        long last = acked + ProtectionSettings.EPOCHS_IN_FLIGHT_LIMIT;
        for (int i = 0; i < context.pick(1, 4); i++) {
            ProtectionStatus status = lab.awaitEpoch(VM, last + WINDOW);
            last = status.ackedEpoch();
            p99.add(status.recentPauseMs().p99());
        }
        return last;
    }

    private static double median(List<Double> values) {
        double[] sorted = values.stream().mapToDouble(d -> d).toArray();
        Arrays.sort(sorted);
        return sorted.length == 0 ? Double.NaN : sorted[sorted.length / 2];
    }
}
