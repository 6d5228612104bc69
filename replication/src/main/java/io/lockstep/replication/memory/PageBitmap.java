package io.lockstep.replication.memory;

import java.nio.ByteBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** A bit per flat page index, in memory at a fixed address. Allocates nothing after construction. One thread at a time. */
public final class PageBitmap {
    private static final int WORD_BITS = 64;

    private final UnsafeBuffer words;
    private final int limit;

    /**
     * @param address memory of this process, {@link #bytes(int)} long, valid as long as this object is used
     * @param limit bits, a multiple of 64
     */
    public PageBitmap(long address, int limit) {
        if (limit % WORD_BITS != 0) {
            throw new IllegalArgumentException("limit " + limit + " is not a multiple of " + WORD_BITS);
        }
        // SAFETY: the caller vouches for bytes(limit) bytes at the address; the buffer checks its bounds.
        this.words = new UnsafeBuffer(address, bytes(limit));
        this.limit = limit;
    }

    /** As above in memory of its own. */
    public PageBitmap(int limit) {
        if (limit % WORD_BITS != 0) {
            throw new IllegalArgumentException("limit " + limit + " is not a multiple of " + WORD_BITS);
        }
        this.words = new UnsafeBuffer(ByteBuffer.allocateDirect(bytes(limit)));
        this.limit = limit;
    }

    /** Memory that a bitmap takes. */
    public static int bytes(int limit) {
        return limit / Byte.SIZE;
    }

    /** First number above all bits. */
    public int limit() {
        return limit;
    }

    /** Sets the bits from a first one up to, but not including, an end. */
    public void set(int from, int end) {
        if (end <= from) {
            return;
        }
        int first = from / WORD_BITS;
        int last = (end - 1) / WORD_BITS;
        long firstMask = -1L << from;
        long lastMask = -1L >>> -end;
        if (first == last) {
            or(first, firstMask & lastMask);
            return;
        }
        or(first, firstMask);
        for (int i = first + 1; i < last; i++) {
            words.putLong(i * Long.BYTES, -1L);
        }
        or(last, lastMask);
    }

    /** Clears the bits from a first one up to, but not including, an end. */
    public void clear(int from, int end) {
        if (end <= from) {
            return;
        }
        int first = from / WORD_BITS;
        int last = (end - 1) / WORD_BITS;
        for (int i = first; i <= last; i++) {
            long mask = (i == first ? -1L << from : -1L) & (i == last ? -1L >>> -end : -1L);
            words.putLong(i * Long.BYTES, words.getLong(i * Long.BYTES) & ~mask);
        }
    }

    /** Clears all. */
    public void clear() {
        words.setMemory(0, words.capacity(), (byte) 0);
    }

    /** Sets what is set in another of the same limit. */
    public void or(PageBitmap other) {
        for (int i = 0, count = limit / WORD_BITS; i < count; i++) {
            long word = other.words.getLong(i * Long.BYTES);
            if (word != 0) {
                or(i, word);
            }
        }
    }

    /** Clears what is set in another of the same limit. */
    public void andNot(PageBitmap other) {
        for (int i = 0, count = limit / WORD_BITS; i < count; i++) {
            long mask = other.words.getLong(i * Long.BYTES);
            if (mask != 0) {
                words.putLong(i * Long.BYTES, words.getLong(i * Long.BYTES) & ~mask);
            }
        }
    }

    /** Whether a bit is set. */
    public boolean get(int bit) {
        return (words.getLong(bit / WORD_BITS * Long.BYTES) & 1L << bit) != 0;
    }

    /** The first set bit at or after one; the limit if there is none. */
    public int nextSet(int from) {
        return next(from, limit, 0);
    }

    /** The first set bit at or after one and before an end; the end, or something above it, if there is none. */
    int nextSet(int from, int end) {
        return next(from, end, 0);
    }

    /** The first clear bit at or after one; the limit if there is none. */
    public int nextClear(int from) {
        return next(from, limit, -1L);
    }

    /** How many bits are set. */
    public int cardinality() {
        int sum = 0;
        for (int i = 0; i < words.capacity(); i += Long.BYTES) {
            sum += Long.bitCount(words.getLong(i));
        }
        return sum;
    }

    private int next(int from, int end, long flip) {
        if (from >= end) {
            return end;
        }
        int lastWord = (end - 1) / WORD_BITS;
        int i = from / WORD_BITS;
        long word = (words.getLong(i * Long.BYTES) ^ flip) & -1L << from;
        while (word == 0) {
            if (++i > lastWord) {
                return end;
            }
            word = words.getLong(i * Long.BYTES) ^ flip;
        }
        return i * WORD_BITS + Long.numberOfTrailingZeros(word);
    }

    private void or(int word, long mask) {
        words.putLong(word * Long.BYTES, words.getLong(word * Long.BYTES) | mask);
    }
}
