package io.lockstep.replication.replica;

import java.util.Arrays;

/** A set of page numbers of one block, one bit each. One thread at a time. */
final class PageSet {
    private final long[] words;
    private final int pageCount;
    private int count;

    PageSet(int pageCount) {
        this.pageCount = pageCount;
        words = new long[(pageCount + Long.SIZE - 1) / Long.SIZE];
    }

    /** How many pages are in it. */
    int count() {
        return count;
    }

    void addAll() {
        Arrays.fill(words, -1L);
        int tail = pageCount % Long.SIZE;
        if (tail != 0) {
            words[words.length - 1] = (1L << tail) - 1;
        }
        count = pageCount;
    }

    /** Whether it is in it. */
    boolean contains(int page) {
        return (words[page >> 6] & (1L << page)) != 0;
    }

    /** Returns false if it was in it already. */
    boolean add(int page) {
        long bit = 1L << page;
        if ((words[page >> 6] & bit) != 0) {
            return false;
        }
        words[page >> 6] |= bit;
        count++;
        return true;
    }

    /** Returns false if it was not in it. */
    boolean remove(int page) {
        long bit = 1L << page;
        if (page >= pageCount || (words[page >> 6] & bit) == 0) {
            return false;
        }
        words[page >> 6] &= ~bit;
        count--;
        return true;
    }

    /** The first page in it at or after this one; -1 if there is none. */
    int next(int from) {
        if (from >= pageCount) {
            return -1;
        }
        int word = from >> 6;
        long bits = words[word] & (-1L << from);
        while (bits == 0) {
            if (++word == words.length) {
                return -1;
            }
            bits = words[word];
        }
        return (word << 6) + Long.numberOfTrailingZeros(bits);
    }
}
