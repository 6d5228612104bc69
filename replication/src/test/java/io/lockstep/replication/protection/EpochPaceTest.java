package io.lockstep.replication.protection;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class EpochPaceTest {
    private static final long MS = 1_000_000;

    private final EpochPace pace = new EpochPace(new OutputSettings(true, false, 2, 100, 20, 1 << 23), 25);

    @Test
    void shouldEndTheEpochAtOnceWhenAFrameWaits() {
        pace.paused(1_000 * MS, 1_000 * MS + 100_000, MS / 4);
        assertThat(pace.dueNs(true, true, false)).isEqualTo(1_002 * MS);
    }

    @Test
    void shouldStretchWhenNothingIsSent() {
        pace.paused(1_000 * MS, 1_000 * MS + 100_000, MS / 4);
        assertThat(pace.dueNs(true, false, false)).isEqualTo(1_100 * MS);
    }

    @Test
    void shouldKeepThePausesShareWhenTheyAreLong() {
        // A window's worth is 40 ms.
        pace.paused(1_000 * MS, 1_001 * MS, 43 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo(1_015 * MS);
        pace.paused(1_015 * MS, 1_016 * MS, 43 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo((1_015 + 215) * MS);
        assertThat(pace.dueNs(true, false, false)).isEqualTo((1_015 + 215) * MS);
    }

    @Test
    void shouldSpreadAPauseThatWasLongByChance() {
        pace.paused(1_000 * MS, 1_001 * MS, 40 * MS);
        pace.paused(1_200 * MS, 1_201 * MS, 40 * MS + 80 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo((1_200 + 50) * MS);
    }

    @Test
    void shouldAnswerABurstAtOnceAfterIdleTimeAndKeepTheShareInTheEnd() {
        long nowNs = 1_000 * MS;
        int atOnce = 0;
        for (int request = 0; request < 1_000; request++) {
            pace.paused(nowNs, nowNs, MS);
            long dueNs = pace.dueNs(true, true, false);
            atOnce += dueNs == nowNs + 2 * MS ? 1 : 0;
            nowNs = dueNs;
        }
        assertThat(atOnce).isEqualTo(66);
        // What was at once is paid for: 40 ms of pauses more than a fifth of the time.
        assertThat((nowNs - 1_000 * MS) / 5).isEqualTo(1_000 * MS - 40 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo(nowNs);
    }

    @Test
    void shouldHaveAPeriodWhenNoOutputIsHeld() {
        pace.paused(1_000 * MS, 1_001 * MS, MS);
        assertThat(pace.dueNs(false, false, false)).isEqualTo(1_026 * MS);
        pace.paused(1_026 * MS, 1_027 * MS, 401 * MS);
        assertThat(pace.dueNs(false, false, false)).isEqualTo(1_081 * MS);
    }

    @Test
    void shouldNotWaitWhenTheLogFills() {
        pace.paused(1_000 * MS, 1_001 * MS, 50 * MS);
        assertThat(pace.dueNs(true, true, true)).isEqualTo(1_001 * MS);
    }

    @Test
    void shouldBeDueWhenASessionBegins() {
        pace.paused(1_000 * MS, 1_001 * MS, 50 * MS);
        pace.now(1_010 * MS);
        assertThat(pace.dueNs(true, false, false)).isEqualTo(1_010 * MS);
        assertThat(pace.dueNs(false, false, false)).isEqualTo(1_010 * MS);
    }
}
