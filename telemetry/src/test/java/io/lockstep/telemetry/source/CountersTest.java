package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Raw;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CountersTest {
    private final Counters counters = new Counters("one");

    private static Raw.Counter reading(long value) {
        return new Raw.Counter("a", value, false, "");
    }

    @Test
    void shouldKeepOnlyWhatWasHandedOn() {
        counters.read("a", 3);
        assertThat(counters.read("a", 7)).isEqualTo(new Counters.Growth(4, false));
        assertThat(counters.settled()).containsExactly(Map.entry("a", 3L));
        counters.settle(reading(7));
        assertThat(counters.settled()).containsExactly(Map.entry("a", 7L));
    }

    @Test
    void shouldKeepACounterThatBeganAnewFromZero() {
        counters.read("a", 7);
        assertThat(counters.read("a", 2)).isEqualTo(new Counters.Growth(2, false));
        assertThat(counters.settled()).containsExactly(Map.entry("a", 0L));
        counters.read("a", 0);
        counters.settle(reading(2));
        assertThat(counters.settled()).as("a reading from before it began anew").containsExactly(Map.entry("a", 0L));
        counters.settle(new Raw.Counter("b", 9, false, ""));
        assertThat(counters.settled()).containsOnlyKeys("a");
    }

    @Test
    void shouldSayThatItGrewWhileNoAgentLookedAtTheFirstReadingAlone() {
        counters.restore(Map.of("a", 5L, "b", 5L));
        assertThat(counters.read("a", -1)).isEqualTo(Counters.Growth.NONE);
        assertThat(counters.read("a", 6)).isEqualTo(new Counters.Growth(1, true));
        assertThat(counters.read("a", 8)).isEqualTo(new Counters.Growth(2, false));
        assertThat(counters.settled()).containsOnly(Map.entry("a", 5L), Map.entry("b", 5L));
    }

    @Test
    void shouldFollowNoMoreThanItHasRoomFor() {
        for (int i = 0; i <= Counters.COUNTERS_MAX; i++) {
            counters.read("counter " + i, 1);
        }
        assertThat(counters.settled()).hasSize(Counters.COUNTERS_MAX);
        assertThat(counters.read("counter " + Counters.COUNTERS_MAX, 2)).isEqualTo(Counters.Growth.NONE);
        assertThat(counters.read("counter 0", 2).count()).isEqualTo(1);
    }
}
