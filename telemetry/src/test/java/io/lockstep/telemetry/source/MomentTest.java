package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Test;

class MomentTest {
    private static final long MS = 1_000_000;
    private static final long WALL_AT_ZERO_MS = 1_700_000_000_000L;

    private final AtomicLong nowNs = new AtomicLong();

    /** The wall clock; between it and the next reading of the other, the thread stands still for so long. */
    private LongSupplier wall(long... standsNs) {
        int[] reading = new int[1];
        return () -> {
            long wallMs = WALL_AT_ZERO_MS + nowNs.get() / MS;
            nowNs.addAndGet(standsNs[Math.min(reading[0]++, standsNs.length - 1)]);
            return wallMs;
        };
    }

    private static void assertOneMoment(Moment moment, long apartMsMax) {
        assertThat(moment.monotonicNs() / MS)
                .isBetween(moment.wallMs() - WALL_AT_ZERO_MS, moment.wallMs() - WALL_AT_ZERO_MS + apartMsMax);
    }

    @Test
    void shouldReadAgainWhereTheThreadStoodStillBetweenTheClocks() {
        Moment moment = Moment.read(nowNs::get, wall(40 * MS, 6 * MS, 1000, 30 * MS));
        assertThat(moment.wallMs()).isEqualTo(WALL_AT_ZERO_MS + 46);
        assertOneMoment(moment, 0);
    }

    @Test
    void shouldTakeTheClosestWhereItStoodStillEachTime() {
        Moment moment = Moment.read(nowNs::get, wall(40 * MS, 2 * MS, 30 * MS));
        assertThat(moment.wallMs()).isEqualTo(WALL_AT_ZERO_MS + 40);
        assertOneMoment(moment, 1);
        assertThat(nowNs.get()).as("after a bounded number of tries").isEqualTo((42 + 6 * 30) * MS);
    }
}
