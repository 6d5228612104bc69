package io.lockstep.telemetry.watch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FloodLogTest {
    private static final long MINUTE = FloodLog.EVERY_MS;

    private final List<String> lines = new ArrayList<>();
    private final FloodLog log = new FloodLog(lines::add);

    @Test
    void shouldWriteTheFirstAtOnceAndThenOneLineAMinuteWithTheNumber() {
        for (int i = 0; i <= 12_000; i++) {
            log.add("A2", "error " + i, i * 10L);
            log.drain(i * 10L);
        }
        assertThat(lines)
                .containsExactly(
                        "error 0", "error 6000; the last of 6000 in 60 s", "error 12000; the last of 6000 in 60 s");
    }

    @Test
    void shouldWriteWhatWasCountedAlsoWhenNothingFollowsAndBeginAnewAfterAQuietMinute() {
        log.add("A2", "one", 0);
        log.add("A2", "two", 1);
        log.add("B1", "other", 2);
        log.drain(MINUTE - 1);
        assertThat(lines).containsExactly("one", "other");
        log.drain(MINUTE);
        assertThat(lines).containsExactly("one", "other", "two");
        log.drain(2 * MINUTE);
        log.add("A2", "three", 2 * MINUTE + 1);
        assertThat(lines).last().isEqualTo("three");
    }

    @Test
    void shouldStayBoundedWhateverTheNumberOfSubjects() {
        for (int i = 0; i < 100_000; i++) {
            log.add("page " + i, "error " + i, i / 100);
        }
        assertThat(lines).hasSize(FloodLog.SUBJECTS_MAX);
        log.drain(MINUTE - 1);
        assertThat(lines).hasSize(FloodLog.SUBJECTS_MAX);
        log.drain(MINUTE);
        assertThat(lines).hasSize(FloodLog.SUBJECTS_MAX + 1);
        assertThat(lines).last().isEqualTo("error 99999; the last of 99936 of various parts in 60 s");
        log.add("page 7", "again", MINUTE + 1);
        assertThat(lines).as("the quiet ones have made room").last().isEqualTo("again");
    }

    @Test
    void shouldWriteAllThatWasCountedAtTheEnd() {
        log.add("A2", "one", 0);
        log.add("A2", "two", 500);
        log.add("A2", "three", 1500);
        log.end(3000);
        log.end(4000);
        assertThat(lines).containsExactly("one", "three; the last of 2 in 3 s");
    }
}
