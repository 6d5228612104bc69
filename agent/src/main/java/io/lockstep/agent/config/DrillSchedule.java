package io.lockstep.agent.config;

import java.time.DayOfWeek;
import java.time.Instant;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.TextStyle;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * When something is due again and again. Immutable.
 *
 * @param text as in the configuration; empty: never
 * @param day null: every day
 * @param time null: so long after the last one
 * @param intervalMs 0 with a time
 */
public record DrillSchedule(
        String text, @Nullable DayOfWeek day, @Nullable LocalTime time, long intervalMs) {
    private static final Pattern TIME = Pattern.compile("(?:([A-Z][a-z]{2}) )?([01][0-9]|2[0-3]):([0-5][0-9])");
    private static final Pattern INTERVAL = Pattern.compile("([1-9][0-9]{0,8})([smhd])");
    private static final long INTERVAL_MS_MIN = 10_000;
    private static final long INTERVAL_MS_MAX = 366L * 86_400_000;

    /** Null if the text is no schedule. */
    static @Nullable DrillSchedule parse(String text) {
        if (text.isEmpty()) {
            return new DrillSchedule(text, null, null, 0);
        }
        Matcher interval = INTERVAL.matcher(text);
        if (interval.matches()) {
            long unitMs =
                    switch (interval.group(2)) {
                        case "s" -> 1_000L;
                        case "m" -> 60_000L;
                        case "h" -> 3_600_000L;
                        default -> 86_400_000L;
                    };
            long ms = Long.parseLong(interval.group(1)) * unitMs;
            return ms < INTERVAL_MS_MIN || ms > INTERVAL_MS_MAX ? null : new DrillSchedule(text, null, null, ms);
        }
        Matcher time = TIME.matcher(text);
        if (!time.matches()) {
            return null;
        }
        LocalTime at = LocalTime.of(Integer.parseInt(time.group(2)), Integer.parseInt(time.group(3)));
        String name = time.group(1);
        if (name == null) {
            return new DrillSchedule(text, null, at, 0);
        }
        for (DayOfWeek day : DayOfWeek.values()) {
            if (day.getDisplayName(TextStyle.SHORT, Locale.ROOT).equals(name)
                    || day.getDisplayName(TextStyle.SHORT, Locale.ENGLISH).equals(name)) {
                return new DrillSchedule(text, day, at, 0);
            }
        }
        return null;
    }

    /** Whether anything is ever due. */
    public boolean any() {
        return !text.isEmpty();
    }

    /** When the first one after a moment is due; both in milliseconds since 1970. */
    public long nextMs(long afterMs, ZoneId zone) {
        LocalTime at = time;
        if (at == null) {
            return afterMs + intervalMs;
        }
        ZonedDateTime after = Instant.ofEpochMilli(afterMs).atZone(zone);
        ZonedDateTime due = after.with(at);
        while (!due.isAfter(after) || (day != null && due.getDayOfWeek() != day)) {
            due = due.plusDays(1).with(at);
        }
        return due.toInstant().toEpochMilli();
    }

    @Override
    public String toString() {
        return text;
    }
}
