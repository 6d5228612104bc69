package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Faults in {@link HealthFile}, as its Javadoc describes them. Kinds and severities stand by their stable names, and what a source saw as the words
 * in which it is shown.
 */
final class EventCodec {
    private EventCodec() {}

    static void write(OpenFault fault, DataOutputStream out) throws IOException {
        write(fault.first(), out);
        write(fault.best(), out);
        out.writeByte(fault.counts().size());
        for (Map.Entry<String, Long> count : fault.counts().entrySet()) {
            out.writeUTF(count.getKey());
            out.writeLong(count.getValue());
        }
        out.writeLong(fault.handed());
        Earlier earlier = fault.earlier();
        out.writeBoolean(earlier != null);
        if (earlier != null) {
            write(earlier.event(), out);
            out.writeLong(earlier.corrected());
            out.writeLong(earlier.uncorrected());
        }
        Component place = fault.place();
        out.writeBoolean(place != null);
        if (place != null) {
            ComponentCodec.write(place, out);
        }
        out.writeBoolean(fault.renamed());
        out.writeLong(fault.wallMs());
    }

    static OpenFault read(DataInputStream in) throws IOException {
        HardwareEvent first = event(in);
        HardwareEvent best = event(in);
        Map<String, Long> counts = new HashMap<>();
        for (int left = in.readByte(); left > 0; left--) {
            counts.put(in.readUTF(), in.readLong());
        }
        long handed = in.readLong();
        @Nullable Earlier earlier = in.readBoolean() ? new Earlier(event(in), in.readLong(), in.readLong()) : null;
        @Nullable Component place = in.readBoolean() ? ComponentCodec.read(in) : null;
        return new OpenFault(first, best, counts, handed, earlier, place, in.readBoolean(), in.readLong());
    }

    private static void write(HardwareEvent event, DataOutputStream out) throws IOException {
        out.writeLong(event.wallMs());
        out.writeUTF(event.kind().name());
        out.writeByte(event.severity().code());
        ComponentCodec.write(event.component(), out);
        out.writeLong(event.address());
        out.writeLong(event.count());
        out.writeUTF(event.source());
        HealthFile.text(event.what(), out);
        HealthFile.text(event.raw().words(), out);
    }

    private static HardwareEvent event(DataInputStream in) throws IOException {
        return new HardwareEvent(
                in.readLong(),
                kind(in.readUTF()),
                severity(in.readByte()),
                ComponentCodec.read(in),
                in.readLong(),
                in.readLong(),
                in.readUTF(),
                in.readUTF(),
                new Raw.Text(in.readUTF()));
    }

    /** {@link EventKind#UNKNOWN} for one that a newer agent wrote. */
    private static EventKind kind(String name) {
        for (EventKind kind : EventKind.values()) {
            if (kind.name().equals(name)) {
                return kind;
            }
        }
        return EventKind.UNKNOWN;
    }

    private static Severity severity(int code) throws IOException {
        for (Severity severity : Severity.values()) {
            if (severity.code() == code) {
                return severity;
            }
        }
        throw new IOException("severity " + code + " is not in 0..7");
    }
}
