package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import org.agrona.UnsafeApi;
import org.jspecify.annotations.Nullable;

/**
 * The changed runs of a page against what was sent last: {@code (gap varint, length varint, new bytes)*}.
 *
 * <p>The record carries the new bytes and no difference, so that it may be applied twice: an epoch that was half applied
 * is applied again from its beginning. A run is at least one byte; a gap counts from the end of the run before. Varints are
 * LEB128 of at most two bytes, because nothing in a page exceeds 4096.
 */
final class PageDelta {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int WORD = 8;

    /** Bytes that {@link #encode} may touch, not use, after {@code lengthMax} of its output and after the page. */
    static final int SLACK_BYTES = WORD;

    private PageDelta() {}

    /**
     * Encodes the runs in which two pages differ, runs closer than one aligned word merged, and makes the base the same as the page where that is
     * little: the words are at hand, and a second pass over them costs as much as they do.
     *
     * <p>SAFETY: {@code base} and {@code page} start 4096 bytes each, the base's writable, {@code page} with {@link #SLACK_BYTES} readable behind
     * it; {@code out} has {@code lengthMax + SLACK_BYTES} writable.
     *
     * @param patchMax what it returns up to this says that the base is the same as the page now; above, and with -1, it is as it was in some runs
     * @return bytes written, 0 if the pages are the same, -1 if it would take more than {@code lengthMax}
     */
    static int encode(long base, long page, long out, int lengthMax, int patchMax) {
        int written = 0;
        int end = 0;
        int i = PageBytes.firstDifference(base, page);
        while (i < PAGE_BYTES) {
            long word = UnsafeApi.getLong(page + i);
            long diff = UnsafeApi.getLong(base + i) ^ word;
            if (diff == 0) {
                i += WORD;
                continue;
            }
            int start = i + (Long.numberOfTrailingZeros(diff) >>> 3);
            boolean patches = written < patchMax;
            long last;
            do {
                last = diff;
                if (patches) {
                    // SAFETY: i < 4096 and a multiple of the word.
                    UnsafeApi.putLong(base + i, word);
                }
                i += WORD;
                if (i == PAGE_BYTES) {
                    break;
                }
                word = UnsafeApi.getLong(page + i);
                diff = UnsafeApi.getLong(base + i) ^ word;
            } while (diff != 0);
            int stop = i - (Long.numberOfLeadingZeros(last) >>> 3);
            int length = stop - start;
            // Two varints of at most two bytes each.
            if (written + 4 + length > lengthMax) {
                return -1;
            }
            written = varint(out, written, start - end);
            written = varint(out, written, length);
            if (length <= WORD) {
                // SAFETY: one word read from within page + slack, written within lengthMax + slack.
                UnsafeApi.putLong(out + written, UnsafeApi.getLong(page + start));
            } else {
                // SAFETY: start + length <= 4096 and written + length <= lengthMax, just checked.
                copy(page + start, out + written, length);
            }
            written += length;
            end = stop;
            if (i < PAGE_BYTES) {
                // One word at i was equal.
                i = PageBytes.nextDifference(base, page, i + WORD);
            }
        }
        return written;
    }

    /**
     * Encodes one run.
     *
     * <p>SAFETY: {@code out} has 4096 writable bytes, {@code from} length readable ones unless it is 0, which stands for zeros.
     *
     * @param length at most 4092
     */
    static int part(long out, long from, int start, int length) {
        int written = varint(out, varint(out, 0, start), length);
        if (from == 0) {
            UnsafeApi.setMemory(out + written, length, (byte) 0);
        } else {
            UnsafeApi.copyMemory(from, out + written, length);
        }
        return written + length;
    }

    private static int varint(long out, int at, int value) {
        // SAFETY: at most two bytes, counted by the caller against lengthMax.
        if (value < 0x80) {
            UnsafeApi.putByte(out + at, (byte) value);
            return at + 1;
        }
        UnsafeApi.putByte(out + at, (byte) (value | 0x80));
        UnsafeApi.putByte(out + at + 1, (byte) (value >>> 7));
        return at + 2;
    }

    /**
     * Checks every run against both bounds.
     *
     * <p>SAFETY: {@code delta} has {@code length} readable bytes.
     *
     * @return null, or what is wrong
     */
    static @Nullable String check(long delta, int length) {
        return walk(delta, length, 0);
    }

    /**
     * Writes the runs into a page, each checked against both bounds first.
     *
     * <p>SAFETY: {@code delta} has {@code length} readable bytes, {@code page} 4096 writable ones; nothing else is touched,
     * whatever the bytes say.
     *
     * @return null, or what is wrong; the page may have been changed in part then
     */
    static @Nullable String patch(long delta, int length, long page) {
        return walk(delta, length, page);
    }

    private static @Nullable String walk(long delta, int length, long page) {
        int at = 0;
        int end = 0;
        while (at < length) {
            // SAFETY: every read is at an offset < length, checked just before it.
            int gap = UnsafeApi.getByte(delta + at++);
            if (gap < 0) {
                if (at >= length) {
                    return "delta ends within a gap";
                }
                gap = (gap & 0x7f) | (UnsafeApi.getByte(delta + at++) & 0xff) << 7;
            }
            if (at >= length) {
                return "delta ends after a gap";
            }
            int run = UnsafeApi.getByte(delta + at++);
            if (run < 0) {
                if (at >= length) {
                    return "delta ends within a length";
                }
                run = (run & 0x7f) | (UnsafeApi.getByte(delta + at++) & 0xff) << 7;
            }
            int start = end + gap;
            if (run == 0 || start + run > PAGE_BYTES) {
                return "delta run of " + run + " at " + start + " not within the page";
            }
            if (run > length - at) {
                return "delta run of " + run + " > " + (length - at) + " bytes left";
            }
            if (page != 0) {
                // SAFETY: at + run <= length and start + run <= 4096, just checked; no sum overflows, each term is <
                // 2^16.
                copy(delta + at, page + start, run);
            }
            at += run;
            end = start + run;
        }
        return null;
    }

    /** Most runs are a few words: a call of the copying stub costs more than they do. */
    static void copy(long from, long to, int length) {
        // SAFETY: exactly length bytes are read and written, which the caller has checked.
        if (length > 16 * WORD) {
            UnsafeApi.copyMemory(from, to, length);
            return;
        }
        int i = 0;
        for (; i <= length - WORD; i += WORD) {
            UnsafeApi.putLong(to + i, UnsafeApi.getLong(from + i));
        }
        for (; i < length; i++) {
            UnsafeApi.putByte(to + i, UnsafeApi.getByte(from + i));
        }
    }
}
