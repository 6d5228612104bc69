package io.lockstep.telemetry.replay;

import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What stands before a message in a kernel log: priority, time, host, caller; dmesg(1) with {@code -r}, {@code -x}, {@code -T} and {@code
 * --time-format iso}, journalctl(1) with {@code -o short}, {@code short-iso} and {@code short-precise}, and /dev/kmsg. Pure.
 *
 * @param clock what the time counts from
 * @param ms milliseconds since 1970, or since boot; 0 without a time
 * @param text the message
 */
record LogStamp(Clock clock, long ms, String text) {
    /** What a time counts from. */
    enum Clock {
        /** No time. */
        NONE,
        /** The start of the kernel. */
        BOOT,
        /** 1970, UTC. */
        WALL
    }

    private static final long MS_PER_SECOND = 1000;
    private static final long US_PER_MS = 1000;
    private static final long DAY_MS = 86_400_000;

    private static final Pattern PRIORITY = Pattern.compile("<\\d{1,3}>|[a-z]{3,8} *:[a-z]{3,7} *: ");
    private static final Pattern KMSG = Pattern.compile("\\d{1,5},\\d{1,18},(\\d{1,18}),[^;]{0,64};");
    private static final Pattern BOOT =
            Pattern.compile("\\[ *(\\d{1,12})\\.(\\d{3,9})\\] ?(?:\\[ *[TC]\\d{1,9}\\] ?)?");
    private static final Pattern DATE =
            Pattern.compile("\\[(\\w{3} \\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4})\\] ?");
    private static final Pattern ISO = Pattern.compile(
            "(\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d)(?:[.,](\\d{1,9}))?(Z|[+-]\\d\\d:?\\d\\d)?(?: |$)");
    private static final Pattern SYSLOG = Pattern.compile("(\\w{3} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d)(?:\\.(\\d{1,9}))? ");
    private static final Pattern KERNEL = Pattern.compile("\\S{1,255} kernel: ?");

    private static final DateTimeFormatter DATE_FORM =
            DateTimeFormatter.ofPattern("EEE MMM ppd HH:mm:ss yyyy", Locale.ENGLISH);
    private static final DateTimeFormatter SYSLOG_FORM = new DateTimeFormatterBuilder()
            .appendPattern("MMM ppd HH:mm:ss")
            // A leap year: the 29th of February can be read before the year is known.
            .parseDefaulting(ChronoField.YEAR, 2000)
            .toFormatter(Locale.ENGLISH);

    /**
     * Reads a line.
     *
     * @param writtenMs when the log was last written, which says what year a line without one is of
     */
    static LogStamp of(String line, long writtenMs) {
        Matcher priority = PRIORITY.matcher(line);
        String rest = priority.lookingAt() ? line.substring(priority.end()) : line;
        try {
            return stamp(rest, writtenMs);
        } catch (DateTimeException | ArithmeticException e) {
            // It only looks like a time, such as the 31st of February.
            return new LogStamp(Clock.NONE, 0, rest);
        }
    }

    private static LogStamp stamp(String line, long writtenMs) {
        Matcher match = BOOT.matcher(line);
        if (match.lookingAt()) {
            return new LogStamp(
                    Clock.BOOT,
                    Long.parseLong(match.group(1)) * MS_PER_SECOND + fractionMs(match.group(2)),
                    line.substring(match.end()));
        }
        match = KMSG.matcher(line);
        if (match.lookingAt()) {
            return new LogStamp(Clock.BOOT, Long.parseLong(match.group(1)) / US_PER_MS, line.substring(match.end()));
        }
        match = ISO.matcher(line);
        if (match.lookingAt()) {
            LocalDateTime time = LocalDateTime.parse(match.group(1).replace(' ', 'T'));
            ZoneOffset zone = match.group(3) == null ? ZoneOffset.UTC : ZoneOffset.of(match.group(3));
            long ms = OffsetDateTime.of(time, zone).toInstant().toEpochMilli() + fractionMs(match.group(2));
            return wall(ms, line.substring(match.end()));
        }
        match = DATE.matcher(line);
        if (match.lookingAt()) {
            LocalDateTime time = LocalDateTime.parse(match.group(1), DATE_FORM);
            return wall(time.toInstant(ZoneOffset.UTC).toEpochMilli(), line.substring(match.end()));
        }
        match = SYSLOG.matcher(line);
        if (match.lookingAt()) {
            LocalDateTime written =
                    LocalDateTime.ofEpochSecond(Math.floorDiv(writtenMs, MS_PER_SECOND), 0, ZoneOffset.UTC);
            LocalDateTime time =
                    LocalDateTime.parse(match.group(1), SYSLOG_FORM).withYear(written.getYear());
            long ms = time.toInstant(ZoneOffset.UTC).toEpochMilli();
            // A log is written after its lines: what would lie in its future is of the year before.
            ms = ms > writtenMs + DAY_MS
                    ? time.minusYears(1).toInstant(ZoneOffset.UTC).toEpochMilli()
                    : ms;
            return wall(ms + fractionMs(match.group(2)), line.substring(match.end()));
        }
        return new LogStamp(Clock.NONE, 0, line);
    }

    private static LogStamp wall(long ms, String rest) {
        Matcher kernel = KERNEL.matcher(rest);
        String text = kernel.lookingAt() ? rest.substring(kernel.end()) : rest;
        // syslog keeps the kernel's own time, too: the other one tells the hour.
        Matcher boot = BOOT.matcher(text);
        return new LogStamp(Clock.WALL, ms, boot.lookingAt() ? text.substring(boot.end()) : text);
    }

    private static long fractionMs(@Nullable String digits) {
        return digits == null ? 0 : Long.parseLong((digits + "000").substring(0, 3));
    }
}
