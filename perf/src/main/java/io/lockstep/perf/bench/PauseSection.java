package io.lockstep.perf.bench;

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

    /** Where they are judged: six seconds at most. Of fewer than a hundred the 99th percentile is the longest one. */
    private static final int JUDGED_PAUSES = 60;

    /** An epoch in which so many pages are written: the guest's ticks are of a 20th of a second. */
    private record Load(int pages, int epochMs, boolean preCopy) {
        String vm() {
            return "pause-" + pages + (preCopy ? "" : "-no-precopy");
        }

        String configuration() {
            return SharedLab.epochs(vm(), epochMs) + (preCopy ? "" : "preCopy = \"off\"\n");
        }

        boolean judged() {
            return preCopy && pages <= 10_000;
        }

        /** How many are measured. */
        int pauses(BenchContext context) {
            int ofTime = Math.max(5, context.pick(1_000, 20_000) / epochMs);
            return judged() ? Math.max(JUDGED_PAUSES, ofTime) : ofTime;
        }

        Histogram histogram(LatencySection.Part part, Trace.Recorded recorded) {
            return LatencySection.histogram(part, recorded, epochMs);
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
    public int quickSeconds() {
        return 60;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Lab lab = context.agents().warm(context);
        // The floors are the same with and without pre-copy.
        Map<Integer, Double> floors = new HashMap<>();
        Trace trace = Trace.startOnPrimary(lab);
        for (boolean preCopy : List.of(true, false)) {
            List<Load> loads = context.quick() && !preCopy ? loads(preCopy).subList(3, 4) : loads(preCopy);
            List<Measured> all = new ArrayList<>();
            for (Load load : loads) {
                all.add(measure(context, lab, load, floors));
            }
            add(
                    report,
                    preCopy,
                    all,
                    trace.of(all.stream().map(Measured::stretch).toList()));
        }
        trace.stop();
    }

    /**
     * What is known of a load before the recording is read.
     *
     * @param stretch in which its pauses count
     * @param pages that an epoch of the stretch read, on average
     */
    private record Measured(Load load, Trace.Stretch stretch, double floorMs, double pages) {}

    private static Measured measure(BenchContext context, Lab lab, Load load, Map<Integer, Double> floors)
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
            // Long epochs need fewer of them: what is warmed is a stretch of time.
            lab.protectWarm(load.vm(), Math.max(3, context.pick(500, 10_000) / load.epochMs));
            Counters before = Counters.now(lab);
            long beganNs = System.nanoTime();
            lab.awaitEpochs(load.vm(), load.pauses(context));
            Trace.Stretch stretch = new Trace.Stretch(beganNs, System.nanoTime());
            double pages = Counters.now(lab).pagesAnEpoch(before, load.vm());
            guest.awaitTicks(1);
            lab.primary().unprotect(load.vm());
            return new Measured(load, stretch, floorMs, pages);
        }
    }

    private void add(BenchReport report, boolean preCopy, List<Measured> all, List<Trace.Recorded> recorded) {
        List<double[]> points = new ArrayList<>();
        Plot plot = new Plot(
                preCopy ? "pause-histogram" : "pause-histogram-no-precopy",
                "Pauses, " + (preCopy ? "with" : "without") + " pre-copy",
                "milliseconds",
                "per cent of pauses",
                true);
        for (int i = 0; i < all.size(); i++) {
            Measured measured = all.get(i);
            Load load = measured.load;
            Histogram pauses = load.histogram(LatencySection.Part.PAUSE, recorded.get(i));
            histogram(plot, load, pauses);
            report(report, measured, pauses, recorded.get(i));
            points.add(new double[] {
                Math.max(1, load.pages()),
                pauses.getValueAtPercentile(50) / 1e6,
                pauses.getValueAtPercentile(99) / 1e6,
                measured.floorMs,
                load.histogram(LatencySection.Part.SCAN, recorded.get(i)).getValueAtPercentile(50) / 1e6,
                load.histogram(LatencySection.Part.COPY, recorded.get(i)).getValueAtPercentile(50) / 1e6
            });
        }
        plot(report, preCopy, points);
        report.add(plot);
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

    private void report(BenchReport report, Measured measured, Histogram pauses, Trace.Recorded recorded) {
        Load load = measured.load;
        String what = load.pages() + " pages" + (load.preCopy ? "" : ", no pre-copy");
        double p50Ms = pauses.getValueAtPercentile(50) / 1e6;
        int count = LatencySection.seen(LatencySection.Part.PAUSE, recorded);
        report.add(Figure.of(name(), what + ": pauses measured", count, "pauses"));
        Figure p50 = Figure.of(name(), what + ": pause p50", p50Ms, "ms").against("floor p50", measured.floorMs);
        report.add(load.judged() ? p50.atMost(load.pages() <= 1_000 ? 1.0 : 1.5) : p50);
        Figure p99 = Figure.of(name(), what + ": pause p99", pauses.getValueAtPercentile(99) / 1e6, "ms")
                .against("its p50", p50Ms);
        report.add(load.judged() ? p99.atMost(3) : p99);
        for (LatencySection.Part part : LatencySection.Part.OF_PAUSE) {
            Histogram histogram = load.histogram(part, recorded);
            if (histogram.getTotalCount() > 0) {
                double partMs = histogram.getValueAtPercentile(50) / 1e6;
                report.add(Figure.of(name(), what + ": of it " + part.label() + " p50", partMs, "ms"));
            }
        }
        report.add(Figure.of(name(), what + ": written pages seen, mean of an epoch", measured.pages, "pages"));
    }
}
