package io.lockstep.agent.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.ZoneId;
import java.time.ZonedDateTime;
import org.junit.jupiter.api.Test;

class DrillScheduleTest {
    private static final ZoneId ZONE = ZoneId.of("Europe/Berlin");

    private static String next(String schedule, String after) {
        long afterMs = ZonedDateTime.parse(after).toInstant().toEpochMilli();
        return java.time.Instant.ofEpochMilli(DrillSchedule.parse(schedule).nextMs(afterMs, ZONE))
                .atZone(ZONE)
                .toLocalDateTime()
                .toString();
    }

    @Test
    void shouldSayWhenTheNextOneIsDue() {
        assertThat(next("03:30", "2026-11-25T03:29:59+01:00")).isEqualTo("2026-11-25T03:30");
        assertThat(next("03:30", "2026-11-25T03:30:00+01:00")).isEqualTo("2026-11-26T03:30");
        // 2026-11-25 is a Wednesday.
        assertThat(next("Sun 03:30", "2026-11-25T12:00:00+01:00")).isEqualTo("2026-11-29T03:30");
        assertThat(next("Wed 12:00", "2026-11-25T12:00:00+01:00")).isEqualTo("2026-12-02T12:00");
        assertThat(next("6h", "2026-11-25T12:00:00+01:00")).isEqualTo("2026-11-25T18:00");
        assertThat(next("10s", "2026-11-25T12:00:00+01:00")).isEqualTo("2026-11-25T12:00:10");
        // The hour that the clock leaves out in spring.
        assertThat(next("02:30", "2026-03-28T12:00:00+01:00")).isEqualTo("2026-03-29T03:30");
    }

    @Test
    void shouldTakeNothingElse() {
        for (String wrong :
                new String[] {"3:30", "24:00", "03:60", "daily", "sun 03:30", "Sun", "9s", "0h", "367d", "6 h"}) {
            assertThat(DrillSchedule.parse(wrong)).as(wrong).isNull();
        }
        assertThat(DrillSchedule.parse("").any()).isFalse();
    }
}
