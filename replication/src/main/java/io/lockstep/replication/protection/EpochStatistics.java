package io.lockstep.replication.protection;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLongArray;
import org.HdrHistogram.AtomicHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramIterationValue;

/** What the epochs of one protected VM took. Written by its capture and session threads without allocation, read by any thread. */
public final class EpochStatistics {
    /** Longest time that the histograms tell apart: one minute; longer ones count as one minute. */
    private static final long NS_MAX = 60_000_000_000L;

    private static final long PAGES_MAX = 1L << 32;
    /** Values are told apart to one in a hundred: 20 KiB for each, and as much garbage when somebody asks; a third digit would take eight times that. */
    private static final int DIGITS = 2;

    /** Of pauses, for who looks at a VM now: some seconds' worth. A power of two. */
    private static final int RECENT = 256;

    private final AtomicLongArray recentPauseNs = new AtomicLongArray(RECENT);
    private volatile long pauses;
    private final Histogram pauseNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram epochNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram acknowledgeNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram lagNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram stopNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram deviceStateNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram scanNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram copyNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram stateNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram startNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram releaseNs = new AtomicHistogram(1_000, NS_MAX, DIGITS);
    private final Histogram dirtyPages = new AtomicHistogram(1, PAGES_MAX, DIGITS);

    void pause(long ns) {
        pauseNs.recordValue(Math.min(ns, NS_MAX));
        long number = pauses;
        recentPauseNs.lazySet((int) (number & (RECENT - 1)), ns);
        pauses = number + 1;
    }

    /** The first parts of one pause, in {@link System#nanoTime()}; not counted if it is not known when the VM stood still, which is 0. */
    void stopParts(long begin, long stopped, long boundary) {
        if (stopped != 0) {
            stopNs.recordValue(Math.min(stopped - begin, NS_MAX));
            deviceStateNs.recordValue(Math.min(boundary - stopped, NS_MAX));
        }
    }

    /** Those in its middle, how long they took. */
    void readParts(long scan, long copy) {
        scanNs.recordValue(Math.min(scan, NS_MAX));
        copyNs.recordValue(Math.min(copy, NS_MAX));
    }

    /** The last ones, as the first: not counted if it is not known when the state was read. */
    void startParts(long copied, long stateRead, long resumed) {
        if (stateRead != 0) {
            stateNs.recordValue(Math.min(stateRead - copied, NS_MAX));
            startNs.recordValue(Math.min(resumed - stateRead, NS_MAX));
        }
    }

    void epoch(long ns) {
        epochNs.recordValue(Math.min(ns, NS_MAX));
    }

    void acknowledged(long ns) {
        acknowledgeNs.recordValue(Math.min(ns, NS_MAX));
    }

    /** How old the peer's state had become when an epoch was acknowledged. */
    void lag(long ns) {
        lagNs.recordValue(Math.min(ns, NS_MAX));
    }

    void released(long ns) {
        releaseNs.recordValue(Math.min(ns, NS_MAX));
    }

    void dirty(long pages) {
        dirtyPages.recordValue(Math.min(pages, PAGES_MAX));
    }

    /** From sending the epoch's command to the VM running again. */
    public Percentiles pauseNs() {
        return Percentiles.of(pauseNs);
    }

    /** The last 256 of {@link #pauseNs()}. */
    public Percentiles recentPauseNs() {
        int count = (int) Math.min(RECENT, pauses);
        if (count == 0) {
            return new Percentiles(0, 0, 0, 0);
        }
        long[] sorted = new long[count];
        for (int i = 0; i < count; i++) {
            sorted[i] = recentPauseNs.get(i);
        }
        Arrays.sort(sorted);
        return new Percentiles(count, sorted[count / 2], sorted[(int) (count * 0.99)], sorted[count - 1]);
    }

    /** Of the pause: from sending the command until QEMU had stopped the VM, and drained and flushed the disks that are mirrored. */
    public Percentiles stopNs() {
        return Percentiles.of(stopNs);
    }

    /** Of the pause: from then to the first device state that came, which QEMU builds; what it flushes of disks without a mirror is part of it. */
    public Percentiles deviceStateNs() {
        return Percentiles.of(deviceStateNs);
    }

    /** Of the pause: from the first device state to all written pages listed and armed again. */
    public Percentiles scanNs() {
        return Percentiles.of(scanNs);
    }

    /** Of the pause: reading the listed pages, and those whose hashes are compared. */
    public Percentiles copyNs() {
        return Percentiles.of(copyNs);
    }

    /** Of the pause: from the copy's end until QEMU had handed over all of the device state. */
    public Percentiles stateNs() {
        return Percentiles.of(stateNs);
    }

    /** Of the pause: from then to QEMU's answer that the VM runs. */
    public Percentiles startNs() {
        return Percentiles.of(startNs);
    }

    /** From one boundary to the next. */
    public Percentiles epochNs() {
        return Percentiles.of(epochNs);
    }

    /** From the boundary to the peer's acknowledgement. */
    public Percentiles acknowledgeNs() {
        return Percentiles.of(acknowledgeNs);
    }

    /** From an acknowledgement to the last of its frames having been sent on. */
    public Percentiles releaseNs() {
        return Percentiles.of(releaseNs);
    }

    /** Pages written in an epoch. */
    public Percentiles dirtyPages() {
        return Percentiles.of(dirtyPages);
    }

    /** What can be asked for as a {@link Distribution}. */
    public enum Measure {
        /** Nanoseconds, as {@link #pauseNs()}. */
        PAUSE,
        /** Nanoseconds, as {@link #epochNs()}. */
        EPOCH,
        /** Nanoseconds, as {@link #acknowledgeNs()}. */
        ACKNOWLEDGE,
        /** Nanoseconds from the boundary before an epoch to its acknowledgement: so old was what the peer held. */
        LAG,
        /** Nanoseconds, as {@link #releaseNs()}. */
        RELEASE,
        /** Pages of an epoch. */
        DIRTY_PAGES
    }

    /**
     * How often which values came, since protection began.
     *
     * @param cumulative for each bound asked for, how many were at most that
     * @param sum of all, as exact as the histogram
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Distribution(long[] cumulative, long count, double sum) {}

    /** @param bounds rising; in the unit of the measure */
    public Distribution distribution(Measure measure, long[] bounds) {
        Histogram live =
                switch (measure) {
                    case PAUSE -> pauseNs;
                    case EPOCH -> epochNs;
                    case ACKNOWLEDGE -> acknowledgeNs;
                    case LAG -> lagNs;
                    case RELEASE -> releaseNs;
                    case DIRTY_PAGES -> dirtyPages;
                };
        // A histogram that is written meanwhile cannot be walked through.
        Histogram histogram = live.copy();
        long[] cumulative = new long[bounds.length];
        long count = 0;
        double sum = 0;
        for (HistogramIterationValue step : histogram.recordedValues()) {
            count += step.getCountAddedInThisIterationStep();
            sum += (double) step.getCountAddedInThisIterationStep() * step.getValueIteratedTo();
            for (int i = 0; i < bounds.length; i++) {
                if (step.getValueIteratedTo() <= bounds[i]) {
                    cumulative[i] = count;
                }
            }
        }
        for (int i = 1; i < bounds.length; i++) {
            cumulative[i] = Math.max(cumulative[i], cumulative[i - 1]);
        }
        return new Distribution(cumulative, count, sum);
    }

    /** Count, median, 99th percentile and maximum, in the unit of what was recorded; all 0 if nothing was. */
    public record Percentiles(long count, long p50, long p99, long max) {
        private static Percentiles of(Histogram histogram) {
            long count = histogram.getTotalCount();
            return count == 0
                    ? new Percentiles(0, 0, 0, 0)
                    : new Percentiles(
                            count,
                            histogram.getValueAtPercentile(50),
                            histogram.getValueAtPercentile(99),
                            histogram.getMaxValue());
        }
    }
}
