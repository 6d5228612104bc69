package io.lockstep.agent.cli;

import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** A time, or how long ago. */
final class Since implements ITypeConverter<Instant> {
    /** For people. */
    static final String ACCEPTED =
            "how long ago as 90, 90s, 15m, 2h or 7d, or a time as 22:15, 2026-11-25, 2026-11-25T22:15 or"
                    + " 2026-11-25T22:15:00Z";

    private static final Pattern AGO = Pattern.compile("([0-9]{1,9})([smhd]?)");

    private final Clock clock;

    /** By this host's clock and time zone. */
    Since() {
        this(Clock.system(ZoneId.systemDefault()));
    }

    Since(Clock clock) {
        this.clock = clock;
    }

    private interface Form {
        Instant read(String text);
    }

    @Override
    public Instant convert(String text) {
        Matcher ago = AGO.matcher(text);
        if (ago.matches()) {
            return clock.instant().minus(duration(Long.parseLong(ago.group(1)), ago.group(2)));
        }
        List<Form> forms = List.of(
                form -> OffsetDateTime.parse(form).toInstant(),
                form -> LocalDateTime.parse(form).atZone(clock.getZone()).toInstant(),
                form -> LocalDate.parse(form).atStartOfDay(clock.getZone()).toInstant(),
                form -> LocalTime.parse(form)
                        .atDate(LocalDate.now(clock))
                        .atZone(clock.getZone())
                        .toInstant());
        for (Form form : forms) {
            Instant read = read(form, text.replace(' ', 'T'));
            if (read != null) {
                return read;
            }
        }
        throw new TypeConversionException("'" + text + "' is none of " + ACCEPTED);
    }

    private static @Nullable Instant read(Form form, String text) {
        try {
            return form.read(text);
        } catch (DateTimeException e) {
            return null; // It has another form, or none.
        }
    }

    private static Duration duration(long number, String unit) {
        return switch (unit) {
            case "m" -> Duration.ofMinutes(number);
            case "h" -> Duration.ofHours(number);
            case "d" -> Duration.ofDays(number);
            default -> Duration.ofSeconds(number);
        };
    }
}
