package io.lockstep.replication.hypervisor;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * What a line from QMP is, told from its outermost keys without allocating: an event, a reply, or something else. One thread.
 * Layout: QEMU's docs/interop/qmp-spec.
 */
final class QmpLine {
    enum Kind {
        EVENT,
        RETURN,
        ERROR,
        OTHER
    }

    private static final byte[] EVENT = bytes("event");
    private static final byte[] RETURN = bytes("return");
    private static final byte[] ERROR = bytes("error");
    private static final byte[] ID = bytes("id");
    private static final byte[] TIMESTAMP = bytes("timestamp");
    private static final byte[] SECONDS = bytes("seconds");
    private static final byte[] MICROSECONDS = bytes("microseconds");

    private Kind kind = Kind.OTHER;
    private long id;
    private int nameStart;
    private int nameEnd;
    private int timeStart;

    /** Scans the bytes from start up to end. */
    void scan(ByteBuffer buffer, int start, int end) {
        kind = Kind.OTHER;
        id = -1;
        nameStart = 0;
        nameEnd = 0;
        timeStart = end;
        int depth = 0;
        int i = start;
        while (i < end) {
            byte c = buffer.get(i);
            if (c == '"') {
                int close = closingQuote(buffer, i + 1, end);
                if (depth == 1) {
                    key(buffer, i + 1, close, end);
                }
                i = close;
            } else if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                depth--;
            }
            i++;
        }
    }

    Kind kind() {
        return kind;
    }

    /** The reply's number; -1 if it has none. */
    long id() {
        return id;
    }

    /** Whether the scanned event has this name. */
    boolean isEvent(ByteBuffer buffer, byte[] name) {
        return kind == Kind.EVENT && equal(buffer, nameStart, nameEnd, name);
    }

    /** When the scanned event came about: microseconds since 1970 of QEMU's wall clock; 0 if it does not say. */
    long timeUs(ByteBuffer buffer, int end) {
        long seconds = -1;
        long microseconds = -1;
        int i = timeStart;
        while (i < end && buffer.get(i) != '}') {
            if (buffer.get(i) == '"') {
                int close = closingQuote(buffer, i + 1, end);
                if (equal(buffer, i + 1, close, SECONDS)) {
                    seconds = number(buffer, value(buffer, close, end), end);
                } else if (equal(buffer, i + 1, close, MICROSECONDS)) {
                    microseconds = number(buffer, value(buffer, close, end), end);
                }
                i = close;
            }
            i++;
        }
        return seconds < 0 || microseconds < 0 ? 0 : seconds * 1_000_000 + microseconds;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private void key(ByteBuffer buffer, int start, int end, int limit) {
        int value = value(buffer, end, limit);
        // A string that is a value, not a key, has no colon behind it.
        if (value == end + 1 || value >= limit) {
            return;
        }
        if (equal(buffer, start, end, EVENT)) {
            kind = Kind.EVENT;
            nameStart = value + 1;
            nameEnd = closingQuote(buffer, nameStart, limit);
        } else if (equal(buffer, start, end, RETURN)) {
            kind = Kind.RETURN;
        } else if (equal(buffer, start, end, ERROR)) {
            kind = Kind.ERROR;
        } else if (equal(buffer, start, end, ID)) {
            id = number(buffer, value, limit);
        } else if (equal(buffer, start, end, TIMESTAMP)) {
            timeStart = value;
        }
    }

    /** Where the value begins that belongs to the key with this closing quote. */
    private static int value(ByteBuffer buffer, int close, int limit) {
        int value = close + 1;
        while (value < limit && (buffer.get(value) == ' ' || buffer.get(value) == ':')) {
            value++;
        }
        return value;
    }

    private static long number(ByteBuffer buffer, int start, int end) {
        long number = -1;
        for (int i = start; i < end && buffer.get(i) >= '0' && buffer.get(i) <= '9'; i++) {
            number = (number < 0 ? 0 : number * 10) + buffer.get(i) - '0';
        }
        return number;
    }

    private static int closingQuote(ByteBuffer buffer, int start, int end) {
        int i = start;
        while (i < end && buffer.get(i) != '"') {
            i += buffer.get(i) == '\\' ? 2 : 1;
        }
        return Math.min(i, end);
    }

    private static boolean equal(ByteBuffer buffer, int start, int end, byte[] text) {
        if (end - start != text.length) {
            return false;
        }
        for (int i = 0; i < text.length; i++) {
            if (buffer.get(start + i) != text[i]) {
                return false;
            }
        }
        return true;
    }
}
