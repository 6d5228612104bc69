package io.lockstep.telemetry.trace;

import java.nio.ByteBuffer;

/**
 * Reads a page of the kernel's trace ring in binary, as {@code trace_pipe_raw} gives it.
 *
 * <pre>
 * 0   u64 timestamp, nanoseconds        8   u64 commit: bits 19:0 bytes of data, 30 count of lost events
 * 16  data                                  at the data's end (u64), 31 events were lost before this page
 *
 * in the data, each on 4 bytes: u32 header, type_len 4:0, time_delta 31:5
 *   type_len 1–28   that many words of payload
 *            0      next u32: bytes that follow the header, itself included, then the payload
 *            29     padding: next u32 bytes, or to the page's end if time_delta is 0
 *            30     next u32 &lt;&lt; 27 is added to the time
 *            31     the time is (next u32 &lt;&lt; 27) + delta
 * </pre>
 *
 * <p>{@code include/linux/ring_buffer.h}, {@code kernel/trace/ring_buffer.c}; {@code events/header_page}. A page that contradicts itself is read up
 * to the contradiction.
 */
public final class RingPage {
    static final int DATA = 16;

    /** The count is not told. */
    public static final long LOST_UNKNOWN = 0;

    private static final int LENGTH_MASK = 0xfffff;
    private static final long MISSED = 1L << 31;
    private static final long MISSED_STORED = 1L << 30;
    private static final int TYPE_PADDING = 29;
    private static final int TYPE_EXTEND = 30;
    private static final int TYPE_STAMP = 31;
    private static final int DELTA_BITS = 27;

    private RingPage() {}

    /** Gets what a page holds, in order. */
    public interface Handler {
        /** A record lies at this offset of the page. */
        void record(long timestampNs, int offset, int length);

        /** Events were lost before this page; {@link #LOST_UNKNOWN} if the kernel does not say how many. */
        void lost(long count);
    }

    /** Bytes of data of a page. */
    static int dataBytes(ByteBuffer page) {
        return (int) (page.getLong(8) & LENGTH_MASK);
    }

    /**
     * Reads a page.
     *
     * @param page little-endian
     * @param bytes of it that are valid
     * @return records handed on
     */
    public static int read(ByteBuffer page, int bytes, Handler handler) {
        if (bytes < DATA) {
            return 0;
        }
        long timeNs = page.getLong(0);
        long commit = page.getLong(8);
        int end = Math.min(dataBytes(page) + DATA, bytes);
        if ((commit & (MISSED | MISSED_STORED)) != 0) {
            boolean told = (commit & MISSED_STORED) != 0 && end + 8 <= bytes;
            handler.lost(told ? Math.max(0, page.getLong(end)) : LOST_UNKNOWN);
        }
        int records = 0;
        int at = DATA;
        while (at + 4 <= end) {
            int header = page.getInt(at);
            int type = header & 31;
            int delta = header >>> 5;
            int next = at + 4 <= end - 4 ? page.getInt(at + 4) : 0;
            if (type == TYPE_PADDING) {
                if (delta == 0 || next < 4 || next > end - at - 4) {
                    return records;
                }
                at += 4 + next;
            } else if (type == TYPE_EXTEND) {
                timeNs += ((next & 0xffff_ffffL) << DELTA_BITS) + delta;
                at += 8;
            } else if (type == TYPE_STAMP) {
                timeNs = ((next & 0xffff_ffffL) << DELTA_BITS) + delta;
                at += 8;
            } else {
                timeNs += delta;
                int payload = type == 0 ? at + 8 : at + 4;
                int length = type == 0 ? next - 4 : type * 4;
                if (length < 0 || length > end - payload) {
                    return records;
                }
                handler.record(timeNs, payload, length);
                records++;
                at = (payload + length + 3) & ~3;
            }
        }
        return records;
    }
}
