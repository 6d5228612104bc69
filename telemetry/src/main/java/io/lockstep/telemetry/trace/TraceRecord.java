package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.trace.TraceFormat.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One record in a ring page, read by the names of its fields. A field that the kernel does not have, or that reaches beyond the record, reads as
 * the fallback or as empty. Valid until the page is read again; for one thread.
 */
public final class TraceRecord {
    private final TraceFormat format;
    private final ByteBuffer page;
    private final int offset;
    private final int length;

    /** @param page little-endian */
    public TraceRecord(TraceFormat format, ByteBuffer page, int offset, int length) {
        this.format = format;
        this.page = page;
        this.offset = offset;
        this.length = length;
    }

    /** The event's layout. */
    public TraceFormat format() {
        return format;
    }

    /** Whether the event has the field. */
    public boolean has(String name) {
        return format.field(name) != null;
    }

    /** A number, 0 if it is not there. */
    public long number(String name) {
        return number(name, 0);
    }

    /** A number. */
    public long number(String name, long fallback) {
        Field field = format.field(name);
        if (field == null || field.offset() + field.size() > length) {
            return fallback;
        }
        int at = offset + field.offset();
        boolean signed = field.signed();
        return switch (field.size()) {
            case 1 -> signed ? page.get(at) : page.get(at) & 0xff;
            case 2 -> signed ? page.getShort(at) : page.getShort(at) & 0xffff;
            case 4 -> signed ? page.getInt(at) : page.getInt(at) & 0xffff_ffffL;
            case 8 -> page.getLong(at);
            default -> fallback;
        };
    }

    /** A text up to its NUL, without control characters. */
    public String text(String name) {
        byte[] bytes = bytes(name);
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8)
                .replaceAll("\\p{Cntrl}", " ")
                .strip();
    }

    /** The bytes of an array, fixed or of variable length; empty if it is not there. */
    public byte[] bytes(String name) {
        Field field = format.field(name);
        if (field == null || field.offset() + field.size() > length) {
            return new byte[0];
        }
        int at = field.offset();
        int count = field.size();
        if (field.place() != TraceFormat.Place.HERE) {
            int location = field.size() == 4 ? page.getInt(offset + at) : 0;
            int base = field.place() == TraceFormat.Place.REL_LOC ? at + field.size() : 0;
            at = base + (location & 0xffff);
            count = location >>> 16;
        } else if (count == 0) {
            // An array without a size of its own goes on to the record's end.
            count = length - at;
        }
        if (at > length || count > length - at) {
            return new byte[0];
        }
        return copy(at, count);
    }

    private byte[] copy(int at, int count) {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) {
            bytes[i] = page.get(offset + at + i);
        }
        return bytes;
    }
}
