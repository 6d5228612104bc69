package io.lockstep.perf.bench;

import io.lockstep.replication.trace.EpochStage;
import java.util.List;
import java.util.Locale;
import org.HdrHistogram.Histogram;

/** Where an epoch's time goes, from the stop to the replica's memory, and what made the worst one the worst. */
final class LatencySection implements Section {
    private static final int MIB = 256;
    private static final double NS_PER_MS = 1e6;
    private static final int DIGITS = 3;
    private static final String VM = "latency";

    /** From one step to another. */
    enum Part {
        STOP("stop and drain", EpochStage.STOP, EpochStage.STOPPED),
        DEVICE_STATE("device state", EpochStage.STOPPED, EpochStage.BOUNDARY),
        SCAN("scan", EpochStage.BOUNDARY, EpochStage.SCANNED),
        COPY("copy", EpochStage.SCANNED, EpochStage.COPIED),
        READ("reading the state", EpochStage.COPIED, EpochStage.STATE_READ),
        START("start", EpochStage.STATE_READ, EpochStage.RESUMED),
        SEND("encode and send the rest", EpochStage.RESUMED, EpochStage.SENT),
        RECEIVE("link, receive, verify", EpochStage.SENT, EpochStage.RECEIVED),
        JOURNAL("journal", EpochStage.RECEIVED, EpochStage.JOURNALED),
        ACKNOWLEDGE("acknowledgement's way back", EpochStage.JOURNALED, EpochStage.ACKNOWLEDGED),
        APPLY("apply", EpochStage.JOURNALED, EpochStage.APPLIED),
        PAUSE("the pause", EpochStage.STOP, EpochStage.RESUMED),
        WHOLE("stop to acknowledgement", EpochStage.STOP, EpochStage.ACKNOWLEDGED);

        /** Which follow each other without a gap, and make up the pause. */
        static final List<Part> OF_PAUSE = List.of(STOP, DEVICE_STATE, SCAN, COPY, READ, START);

        private final String label;
        private final EpochStage from;
        private final EpochStage to;

        Part(String label, EpochStage from, EpochStage to) {
            this.label = label;
            this.from = from;
            this.to = to;
        }

        String label() {
            return label;
        }

        /** Negative if one of the two steps was not seen. */
        long ns(long[] steps) {
            long begin = steps[from.code()];
            long end = steps[to.code()];
            return begin == 0 || end == 0 ? -1 : Math.max(0, end - begin);
        }
    }

    @Override
    public String name() {
        return "latency";
    }

    @Override
    public int quickSeconds() {
        return 12;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        String chain = "mb=64 pages=100 sweep=0 hz=40";
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest =
                BenchGuest.boot(context, BenchGuest.Spec.micro(context, VM, MIB, chain), lab.directory())) {
            // Starting to record makes a JVM compile some of its code anew: before the epochs that warm it.
            Trace trace = Trace.start(lab);
            lab.protectWarm(VM, context.pick(40, 400));
            try (RunDelay capture = RunDelay.of(lab.primary().agent().pid(), "capture");
                    RunDelay qemu = RunDelay.of(guest.pid(), "qemu-system")) {
                long beganNs = System.nanoTime();
                lab.awaitEpochs(VM, context.pick(200, 4_000));
                Trace.Recorded recorded = trace.between(beganNs, System.nanoTime());
                trace.stop();
                add(report, recorded);
                report.note(name(), "worst pause: " + worst(recorded, capture, qemu));
            }
            lab.primary().unprotect(VM);
        }
    }

    private void add(BenchReport report, Trace.Recorded recorded) {
        report.add(Figure.of(name(), "epochs measured", seen(Part.PAUSE, recorded), "epochs"));
        for (Part part : Part.values()) {
            Histogram histogram = histogram(part, recorded, SharedLab.EPOCH_MS);
            if (histogram.getTotalCount() == 0) {
                continue; // One of its two steps is never seen.
            }
            report.add(Figure.of(name(), part.label + " p50", histogram.getValueAtPercentile(50) / NS_PER_MS, "ms"));
            report.add(Figure.of(name(), part.label + " p99", histogram.getValueAtPercentile(99) / NS_PER_MS, "ms")
                    .against("its p50", histogram.getValueAtPercentile(50) / NS_PER_MS));
            report.add(Figure.of(name(), part.label + " max", histogram.getMaxValue() / NS_PER_MS, "ms"));
        }
        double[] percents = {50, 75, 90, 95, 99, 99.9, 100};
        Plot plot = new Plot("latency", "Steps of an epoch", "percentile", "milliseconds", false);
        for (Part part : List.of(Part.PAUSE, Part.SEND, Part.RECEIVE, Part.JOURNAL, Part.WHOLE)) {
            Histogram histogram = histogram(part, recorded, SharedLab.EPOCH_MS);
            double[] values = new double[percents.length];
            for (int i = 0; i < percents.length; i++) {
                values[i] = histogram.getValueAtPercentile(percents[i]) / NS_PER_MS;
            }
            plot.series(part.label, percents, values);
        }
        report.add(plot);
    }

    /** How many epochs of a recording have this part. */
    static int seen(Part part, Trace.Recorded recorded) {
        int count = 0;
        for (long[] steps : recorded.epochs().values()) {
            count += part.ns(steps) >= 0 ? 1 : 0;
        }
        return count;
    }

    /**
     * An epoch that comes late because the one before was slow would have been slow, too: that is what is added for it.
     *
     * @param epochMs how often one should come
     */
    static Histogram histogram(Part part, Trace.Recorded recorded, int epochMs) {
        Histogram histogram = new Histogram(DIGITS);
        for (long[] steps : recorded.epochs().values()) {
            long ns = part.ns(steps);
            if (ns >= 0) {
                histogram.recordValueWithExpectedInterval(ns, epochMs * 1_000_000L);
            }
        }
        return histogram;
    }

    private static String worst(Trace.Recorded recorded, RunDelay capture, RunDelay qemu) {
        long[] worst = new long[EpochStage.COUNT];
        for (long[] steps : recorded.epochs().values()) {
            if (Part.PAUSE.ns(steps) > Part.PAUSE.ns(worst)) {
                worst = steps;
            }
        }
        long begin = worst[EpochStage.STOP.code()];
        long end = worst[EpochStage.RESUMED.code()];
        return cause(worst, recorded.stops(), capture.waitedNs(begin, end), qemu.waitedNs(begin, end));
    }

    /** What took most of a pause: a stop of the JVM, a wait for a core, or else the step that was longest. */
    static String cause(long[] steps, List<Trace.Stop> stops, long captureWaitedNs, long qemuWaitedNs) {
        long begin = steps[EpochStage.STOP.code()];
        long end = steps[EpochStage.RESUMED.code()];
        String text = String.format(Locale.ROOT, "%.2f ms; ", (end - begin) / NS_PER_MS);
        long half = (end - begin) / 2;
        for (Trace.Stop stop : stops) {
            long overlap = Math.min(end, stop.endNs()) - Math.max(begin, stop.beginNs());
            if (overlap > half) {
                return text + stop.what();
            }
        }
        if (captureWaitedNs > half || qemuWaitedNs > half) {
            return text
                    + String.format(
                            Locale.ROOT,
                            "scheduling: the capture thread waited up to %.2f ms for a core, QEMU's main thread %.2f ms",
                            captureWaitedNs / NS_PER_MS,
                            qemuWaitedNs / NS_PER_MS);
        }
        Part longest = Part.STOP;
        for (Part part : Part.OF_PAUSE) {
            longest = part.ns(steps) > longest.ns(steps) ? part : longest;
        }
        return text + "no stop of the JVM and no lack of a core; the longest step was " + longest.label;
    }
}
