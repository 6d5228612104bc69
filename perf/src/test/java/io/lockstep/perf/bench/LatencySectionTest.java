package io.lockstep.perf.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordingFile;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Steps of epochs, as a real recording has them. */
class LatencySectionTest {
    private static final long MS = 1_000_000;

    @TempDir
    Path directory;

    private static long[] steps(long beginNs, long... partsNs) {
        long[] steps = new long[EpochStage.COUNT];
        long at = beginNs;
        steps[0] = at;
        for (int i = 0; i < partsNs.length; i++) {
            at += partsNs[i];
            steps[i + 1] = at;
        }
        return steps;
    }

    @Test
    void shouldReadWhatWasTracedAndNothingWhileNothingRecords() throws Exception {
        EpochTrace.done(EpochStage.STOP, 6, System.nanoTime());
        Path file = directory.resolve("trace.jfr");
        long beganNs = System.nanoTime();
        try (Recording recording = new Recording()) {
            recording.enable("lockstep.EpochStep");
            recording.enable("jdk.GarbageCollection").withoutThreshold();
            recording.start();
            EpochTrace.done(EpochStage.STOP, 7, beganNs);
            EpochTrace.done(EpochStage.BOUNDARY, 7, beganNs + 5);
            System.gc();
            EpochTrace.done(EpochStage.SENT, 8, System.nanoTime());
            recording.stop();
            recording.dump(file);
        }
        long endedNs = System.nanoTime();
        EpochTrace.done(EpochStage.STOP, 9, endedNs);
        Map<Long, long[]> epochs = new TreeMap<>();
        List<Trace.Stop> stops = new ArrayList<>();
        Trace.read(RecordingFile.readAllEvents(file), epochs, stops);
        assertThat(epochs.keySet()).containsExactly(7L, 8L);
        assertThat(epochs.get(7L)[EpochStage.BOUNDARY.code()]).isEqualTo(beganNs + 5);
        assertThat(LatencySection.Part.STOP.ns(epochs.get(7L))).isNegative();
        assertThat(LatencySection.Part.SCAN.ns(epochs.get(7L))).isNegative();
        // On the clock of the steps, to a millisecond: the collection lies within the recording.
        assertThat(stops).isNotEmpty().allSatisfy(stop -> {
            assertThat(stop.what()).startsWith("collector");
            assertThat(stop.beginNs()).isBetween(beganNs - MS, endedNs);
            assertThat(stop.endNs()).isBetween(stop.beginNs(), endedNs + MS);
        });
    }

    @Test
    void shouldAddWhatALatePauseHidWhenEpochsWaitedBehindIt() {
        Map<Long, long[]> epochs = new TreeMap<>();
        epochs.put(1L, steps(MS, MS, 0, 0, 0, 0, 0));
        epochs.put(2L, steps(26 * MS, 100 * MS, 0, 0, 0, 0, 0));
        Trace.Recorded recorded = new Trace.Recorded(epochs, List.of());
        Histogram histogram = LatencySection.histogram(LatencySection.Part.PAUSE, recorded, 25);
        // 100, and the 75, 50 and 25 ms of three epochs of 25 ms that could not begin.
        assertThat(histogram.getTotalCount()).isEqualTo(5);
        assertThat(histogram.getCountBetweenValues(70 * MS, 80 * MS)).isEqualTo(1);
        assertThat(histogram.getMaxValue()).isBetween(100 * MS, 101 * MS);
        // Epochs of 50 ms: one that could not begin. And of 100 ms: none.
        assertThat(LatencySection.histogram(LatencySection.Part.PAUSE, recorded, 50)
                        .getTotalCount())
                .isEqualTo(3);
        assertThat(LatencySection.histogram(LatencySection.Part.PAUSE, recorded, 100)
                        .getTotalCount())
                .isEqualTo(2);
        assertThat(LatencySection.seen(LatencySection.Part.PAUSE, recorded)).isEqualTo(2);
    }

    @Test
    void shouldMakeUpThePauseOfItsPartsAndLeaveOutOnesWithoutBothSteps() {
        long[] all = steps(MS, 1, 2, 4, 8, 16, 32);
        assertThat(LatencySection.Part.OF_PAUSE.stream().map(part -> part.ns(all)))
                .containsExactly(1L, 2L, 4L, 8L, 16L, 32L);
        assertThat(LatencySection.Part.PAUSE.ns(all)).isEqualTo(63);
        all[EpochStage.STOPPED.code()] = 0;
        assertThat(LatencySection.Part.OF_PAUSE.stream().map(part -> part.ns(all)))
                .containsExactly(-1L, -1L, 4L, 8L, 16L, 32L);
        assertThat(LatencySection.Part.PAUSE.ns(all)).isEqualTo(63);
        Trace.Recorded recorded = new Trace.Recorded(Map.of(1L, all), List.of());
        assertThat(LatencySection.histogram(LatencySection.Part.STOP, recorded, 25)
                        .getTotalCount())
                .isZero();
        assertThat(LatencySection.seen(LatencySection.Part.STOP, recorded)).isZero();
    }

    @Test
    void shouldNameTheCauseOfTheWorst() {
        long[] worst = steps(1_000 * MS, MS, MS, MS, 5 * MS, MS, MS);
        Trace.Stop collection = new Trace.Stop("collector (Copy)", 1_002 * MS, 1_009 * MS);
        Trace.Stop elsewhere = new Trace.Stop("safepoint (Cleanup)", 900 * MS, 1_001 * MS);
        assertThat(LatencySection.cause(worst, List.of(elsewhere, collection), 0, 0))
                .isEqualTo("10.00 ms; collector (Copy)");
        assertThat(LatencySection.cause(worst, List.of(elsewhere), 6 * MS, 0))
                .startsWith("10.00 ms; scheduling: the capture thread waited up to 6.00 ms");
        assertThat(LatencySection.cause(worst, List.of(elsewhere), MS, MS)).endsWith("the longest step was copy");
    }
}
