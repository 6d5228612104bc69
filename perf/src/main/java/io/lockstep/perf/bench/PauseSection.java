package io.lockstep.perf.bench;

import io.lockstep.agent.view.PauseParts;
import io.lockstep.agent.view.ProtectionStatus;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramIterationValue;

/** How long the guest stands still, by the pages that it writes in an epoch, against the least that QEMU takes with no page work. */
final class PauseSection implements Section {
    private static final int MIB = 256;
    private static final int ARENA_MIB = 224;
    private static final int TICKS_PER_SECOND = 20;

    /** An epoch in which so many pages are written: the guest's ticks are of a 20th of a second. */
    private record Load(int pages, int epochMs, boolean preCopy) {
        String vm() {
            return "pause-" + pages + (preCopy ? "" : "-no-precopy");
        }

        String configuration() {
            return SharedLab.epochs(vm(), epochMs) + (preCopy ? "" : "preCopy = \"off\"\n");
        }

        int pagesPerTick() {
            return pages * (1000 / TICKS_PER_SECOND) / epochMs;
        }
    }

    private static List<Load> loads(boolean preCopy) {
        return List.of(
                new Load(0, 50, preCopy),
                new Load(100, 50, preCopy),
                new Load(1_000, 50, preCopy),
                new Load(10_000, 100, preCopy),
                new Load(50_000, 500, preCopy));
    }

    @Override
    public String name() {
        return "pause";
    }

    @Override
    public String configuration(boolean onPeer) {
        return Stream.of(true, false)
                .flatMap(preCopy -> loads(preCopy).stream())
                .map(Load::configuration)
                .collect(Collectors.joining());
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Lab lab = context.agents().warm(context);
        // The floors are the same with and without pre-copy.
        Map<Integer, Double> floors = new HashMap<>();
        Trace trace = Trace.startOnPrimary(lab);
        for (boolean preCopy : List.of(true, false)) {
            List<Load> loads = context.quick() && !preCopy ? loads(preCopy).subList(3, 4) : loads(preCopy);
            List<double[]> points = new ArrayList<>();
            Plot histogram = new Plot(
                    preCopy ? "pause-histogram" : "pause-histogram-no-precopy",
                    "Pauses, " + (preCopy ? "with" : "without") + " pre-copy",
                    "milliseconds",
                    "per cent of pauses",
                    true);
            for (Load load : loads) {
                measure(context, report, lab, trace, load, floors, points, histogram);
            }
            plot(report, preCopy, points);
            report.add(histogram);
        }
        trace.stop();
    }

    private void measure(
            BenchContext context,
            BenchReport report,
            Lab lab,
            Trace trace,
            Load load,
            Map<Integer, Double> floors,
            List<double[]> points,
            Plot histogram)
            throws Exception {
        String chain = "mb=" + ARENA_MIB + " pages=" + load.pagesPerTick() + " sweep=0 hz=" + TICKS_PER_SECOND;
        try (BenchGuest guest =
                BenchGuest.boot(context, BenchGuest.Spec.micro(context, load.vm(), MIB, chain), lab.directory())) {
            double floorMs = floors.containsKey(load.pages)
                    ? floors.get(load.pages)
                    : lab.primary()
                            .floor(load.vm(), context.pick(12, 20))
                            .pauseMs()
                            .p50();
            floors.put(load.pages, floorMs);
            // Long epochs need fewer of them: what is warmed and measured is a stretch of time.
            lab.protectWarm(load.vm(), Math.max(3, context.pick(500, 10_000) / load.epochMs));
            long beganNs = System.nanoTime();
            ProtectionStatus status =
                    lab.awaitEpochs(load.vm(), Math.max(5, context.pick(2_000, 20_000) / load.epochMs));
            // Of this stretch alone: the first pauses after a first copy are others.
            Histogram pauses = LatencySection.histogram(
                    LatencySection.Part.PAUSE, trace.between(beganNs, System.nanoTime()), load.epochMs);
            histogram(histogram, load, pauses);
            guest.awaitTicks(1);
            report(report, load, pauses, status, floorMs);
            PauseParts parts = status.pauseParts();
            points.add(new double[] {
                Math.max(1, load.pages()),
                pauses.getValueAtPercentile(50) / 1e6,
                pauses.getValueAtPercentile(99) / 1e6,
                floorMs,
                parts.scanMs().p50(),
                parts.copyMs().p50()
            });
            lab.primary().unprotect(load.vm());
        }
    }

    private static void histogram(Plot plot, Load load, Histogram ns) {
        List<Double> x = new ArrayList<>();
        List<Double> y = new ArrayList<>();
        // Each step is a tenth longer than the one before: that is what a logarithmic axis shows evenly.
        for (HistogramIterationValue step : ns.logarithmicBucketValues(100_000, 1.1)) {
            x.add(step.getValueIteratedTo() / 1e6);
            y.add(step.getCountAddedInThisIterationStep() * 100.0 / ns.getTotalCount());
        }
        if (!x.isEmpty()) {
            plot.series(
                    load.pages + " pages",
                    x.stream().mapToDouble(value -> value).toArray(),
                    y.stream().mapToDouble(value -> value).toArray());
        }
    }

    private static void plot(BenchReport report, boolean preCopy, List<double[]> points) {
        double[] x = points.stream().mapToDouble(p -> p[0]).toArray();
        String how = preCopy ? "with" : "without";
        Plot plot = new Plot(
                preCopy ? "pause" : "pause-no-precopy",
                "Pause by written pages, " + how + " pre-copy",
                "pages an epoch",
                "milliseconds",
                true);
        String[] names = {"pause p50", "pause p99", "floor p50", "scan p50", "copy p50"};
        for (int i = 0; i < names.length; i++) {
            int column = i + 1;
            plot.series(names[i], x, points.stream().mapToDouble(p -> p[column]).toArray());
        }
        report.add(plot);
    }

    private void report(BenchReport report, Load load, Histogram pauses, ProtectionStatus status, double floorMs) {
        String what = load.pages() + " pages" + (load.preCopy ? "" : ", no pre-copy");
        double p50Ms = pauses.getValueAtPercentile(50) / 1e6;
        Figure p50 = Figure.of(name(), what + ": pause p50", p50Ms, "ms").against("floor p50", floorMs);
        boolean judged = load.preCopy && load.pages() <= 10_000;
        report.add(judged ? p50.atMost(load.pages() <= 1_000 ? 1.0 : 1.5) : p50);
        Figure p99 = Figure.of(
                        name(),
                        what + ": pause p99 of " + pauses.getTotalCount(),
                        pauses.getValueAtPercentile(99) / 1e6,
                        "ms")
                .against("its p50", p50Ms);
        report.add(judged ? p99.atMost(3) : p99);
        PauseParts parts = status.pauseParts();
        report.add(Figure.of(
                name(), what + ": of it stop and drain p50", parts.stopMs().p50(), "ms"));
        report.add(Figure.of(
                name(), what + ": of it device state p50", parts.deviceStateMs().p50(), "ms"));
        report.add(Figure.of(name(), what + ": of it scan p50", parts.scanMs().p50(), "ms"));
        report.add(Figure.of(name(), what + ": of it copy p50", parts.copyMs().p50(), "ms"));
        report.add(Figure.of(
                name(), what + ": of it reading the state p50", parts.stateMs().p50(), "ms"));
        report.add(Figure.of(name(), what + ": of it start p50", parts.startMs().p50(), "ms"));
        report.add(Figure.of(
                name(), what + ": written pages seen p50", status.dirtyPages().p50(), "pages"));
    }
}
