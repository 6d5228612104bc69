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
        pace.paused(1_000 * MS, 1_001 * MS, 3 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo(1_015 * MS);
        pace.paused(1_015 * MS, 1_016 * MS, 3 * MS + 8 * MS);
        assertThat(pace.dueNs(true, true, false)).isEqualTo(1_035 * MS);
        pace.paused(2_000 * MS, 2_001 * MS, 244 * MS);
        assertThat(pace.dueNs(true, false, false)).isEqualTo(2_170 * MS);
    }

    @Test
    void shouldHaveAPeriodWhenNoOutputIsHeld() {
        pace.paused(1_000 * MS, 1_001 * MS, MS);
        assertThat(pace.dueNs(false, false, false)).isEqualTo(1_026 * MS);
        pace.paused(1_026 * MS, 1_027 * MS, 81 * MS);
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
