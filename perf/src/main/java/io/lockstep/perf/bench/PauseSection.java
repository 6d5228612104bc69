package io.lockstep.perf.bench;

import io.lockstep.agent.view.PauseParts;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import java.util.ArrayList;
import java.util.List;

/** How long the guest stands still, by the pages that it writes in an epoch, against the least that QEMU takes with no page work. */
final class PauseSection implements Section {
    private static final int MIB = 256;
    private static final int ARENA_MIB = 224;
    private static final int TICKS_PER_SECOND = 20;
    private static final int FLOOR_SAMPLES = 40;

    /** An epoch in which so many pages are written: the guest's ticks are of a 20th of a second. */
    private record Load(int pages, int epochMs) {
        int pagesPerTick() {
            return pages * (1000 / TICKS_PER_SECOND) / epochMs;
        }
    }

    private static final List<Load> LOADS = List.of(
            new Load(0, 50), new Load(100, 50), new Load(1_000, 50), new Load(10_000, 100), new Load(50_000, 500));

    @Override
    public String name() {
        return "pause";
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        List<double[]> points = new ArrayList<>();
        for (Load load : LOADS) {
            measure(context, report, load, points);
        }
        double[] x = points.stream().mapToDouble(p -> p[0]).toArray();
        Plot plot = new Plot("pause", "Pause by written pages", "pages an epoch", "milliseconds", true);
        String[] names = {"pause p50", "pause p99", "floor p50", "scan p50", "copy p50"};
        for (int i = 0; i < names.length; i++) {
            int column = i + 1;
            plot.series(names[i], x, points.stream().mapToDouble(p -> p[column]).toArray());
        }
        report.add(plot);
    }

    private void measure(BenchContext context, BenchReport report, Load load, List<double[]> points) throws Exception {
        try (Lab lab = new Lab(context, load.epochMs(), "")) {
            String vm = "pause-" + load.pages();
            String chain = "mb=" + ARENA_MIB + " pages=" + load.pagesPerTick() + " sweep=0 hz=" + TICKS_PER_SECOND;
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, MIB, chain), lab.directory())) {
                double floorMs =
                        lab.primary().floor(vm, FLOOR_SAMPLES).pauseMs().p50();
                lab.protectWarm(vm, context.pick(40, 200));
                ProtectionStatus status = lab.awaitEpochs(vm, context.pick(60, 400));
                guest.awaitTicks(1);
                report(report, load, status, floorMs);
                PauseParts parts = status.pauseParts();
                points.add(new double[] {
                    Math.max(1, load.pages()),
                    status.pauseMs().p50(),
                    status.pauseMs().p99(),
                    floorMs,
                    parts.scanMs().p50(),
                    parts.copyMs().p50()
                });
            }
        }
    }

    private void report(BenchReport report, Load load, ProtectionStatus status, double floorMs) {
        String what = load.pages() + " pages";
        Quantiles pause = status.pauseMs();
        Figure p50 = Figure.of(name(), what + ": pause p50", pause.p50(), "ms").against("floor p50", floorMs);
        report.add(load.pages() <= 1_000 ? p50.atMost(1.0) : load.pages() <= 10_000 ? p50.atMost(1.5) : p50);
        Figure p99 = Figure.of(name(), what + ": pause p99", pause.p99(), "ms").against("its p50", pause.p50());
        report.add(load.pages() <= 1_000 ? p99.atMost(3) : p99);
        PauseParts parts = status.pauseParts();
        report.add(Figure.of(
                name(),
                what + ": of it stop, drain, first state p50",
                parts.stopMs().p50(),
                "ms"));
        report.add(Figure.of(name(), what + ": of it scan p50", parts.scanMs().p50(), "ms"));
        report.add(Figure.of(name(), what + ": of it copy p50", parts.copyMs().p50(), "ms"));
        report.add(Figure.of(
                name(), what + ": of it state and start p50", parts.startMs().p50(), "ms"));
        report.add(Figure.of(
                name(), what + ": written pages seen p50", status.dirtyPages().p50(), "pages"));
    }
}
