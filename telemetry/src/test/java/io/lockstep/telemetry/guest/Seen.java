package io.lockstep.telemetry.guest;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.watch.SeenEvent;

/** An event as the watch in the guest told it, on one line. */
record Seen(
        long sequence,
        boolean refined,
        long wallMs,
        EventKind kind,
        Severity severity,
        String component,
        long address,
        long count,
        String source,
        String raw,
        String line) {
    static final String WORD = "event";

    /** The line that {@link #parse} reads. */
    static String line(SeenEvent seen) {
        var event = seen.event();
        return String.join(
                "\t",
                WORD,
                Long.toString(seen.sequence()),
                Boolean.toString(seen.refined()),
                Long.toString(event.wallMs()),
                event.kind().name(),
                event.severity().name(),
                event.component().words(),
                Long.toHexString(event.address()),
                Long.toString(event.count()),
                event.source(),
                event.raw().words().replaceAll("\\s", " "),
                event.line());
    }

    static Seen parse(String line) {
        String[] field = line.split("\t", -1);
        return new Seen(
                Long.parseLong(field[1]),
                Boolean.parseBoolean(field[2]),
                Long.parseLong(field[3]),
                EventKind.valueOf(field[4]),
                Severity.valueOf(field[5]),
                field[6],
                Long.parseUnsignedLong(field[7], 16),
                Long.parseLong(field[8]),
                field[9],
                field[10],
                field[11]);
    }
}
