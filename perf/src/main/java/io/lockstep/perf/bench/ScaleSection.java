package io.lockstep.perf.bench;

import io.lockstep.agent.view.ProtectionStatus;
import java.util.ArrayList;
import java.util.List;

/** What a VM's size costs: most of its memory is never touched, as with most VMs. */
final class ScaleSection implements Section {
    private static final List<Integer> MIB = List.of(256, 1024, 4096, 16_384);
    private static final String CHAIN = "mb=64 pages=20 sweep=32 hz=100";

    @Override
    public String name() {
        return "scale";
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        List<Integer> sizes = context.quick() ? MIB.subList(0, 3) : MIB;
        List<double[]> points = new ArrayList<>();
        for (int mib : sizes) {
            String vm = "size-" + mib;
            try (Lab lab = new Lab(context, 25, "");
                    BenchGuest guest =
                            BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, mib, CHAIN), lab.directory())) {
                lab.protectWarm(vm, 40);
                ProtectionStatus status = lab.awaitEpochs(vm, context.pick(80, 400));
                guest.awaitTicks(1);
                report.add(Figure.of(
                        name(), mib + " MiB: pause p50", status.pauseMs().p50(), "ms"));
                report.add(Figure.of(
                        name(),
                        mib + " MiB: scan in the pause p50",
                        status.pauseParts().scanMs().p50(),
                        "ms"));
                points.add(new double[] {
                    mib, status.pauseMs().p50(), status.pauseParts().scanMs().p50()
                });
            }
        }
        double[] x = points.stream().mapToDouble(p -> p[0]).toArray();
        report.add(new Plot("scale", "Pause by memory size", "MiB", "milliseconds", true)
                .series("pause p50", x, points.stream().mapToDouble(p -> p[1]).toArray())
                .series("scan p50", x, points.stream().mapToDouble(p -> p[2]).toArray()));
    }
}
