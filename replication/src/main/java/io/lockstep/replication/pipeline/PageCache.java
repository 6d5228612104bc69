package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.util.Arrays;
import org.agrona.BufferUtil;

/**
 * What was last sent of each page, for as many pages as fit. Bounded, off-heap, set-associative; one encoder owns it.
 *
 * <p>An entry's content is exactly what the peer holds once it has applied everything sent so far in this session. So it is
 * cleared at each new session and when an epoch starts again. Entries can be found by content, too, once they were given a fingerprint.
 */
public final class PageCache {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    /** Entries of a set: their keys fill one cache line. */
    static final int WAYS = 8;
    /** One direct buffer holds a partition. */
    private static final long BYTES_MAX = 1L << 30;

    private final int sets;
    private final long[] keys;
    /** Bit per way: found since the hand last passed. */
    private final byte[] used;

    private final byte[] hands;
    /** Of each entry's content; 0: not known. */
    private final int[] fingerprints;
    /** By the fingerprint's low bits: the entry that had it last, plus one. */
    private final int[] byFingerprint;

    private final AlignedMemory content;
    private final long contentAddress;
    private long hits;
    private long misses;
    private long evictions;

    /**
     * @param bytes of content, 0 (no cache) to 1 GiB, rounded down to whole sets of 8 pages; metadata adds 0.6 %
     */
    public PageCache(long bytes) {
        if (bytes < 0 || bytes > BYTES_MAX) {
            throw new IllegalArgumentException("page cache of " + bytes + " bytes not in 0.." + BYTES_MAX);
        }
        sets = (int) (bytes / (WAYS * PAGE_BYTES));
        keys = new long[sets * WAYS];
        used = new byte[sets];
        hands = new byte[sets];
        fingerprints = new int[keys.length];
        byFingerprint = new int[Integer.highestOneBit(Math.max(1, keys.length)) * 2];
        content = new AlignedMemory(sets * WAYS * PAGE_BYTES);
        contentAddress = BufferUtil.address(content.buffer());
    }

    /** Pages that fit. */
    public int capacityPages() {
        return keys.length;
    }

    /** Address of the content last sent of this page, or 0 if it is not held. */
    public long find(int block, int page) {
        long key = key(block, page);
        int set = set(key);
        long[] keys = this.keys;
        int first = set * WAYS;
        for (int way = 0, at = first; at < keys.length && way < WAYS; way++, at++) {
            if (keys[at] == key) {
                used[set] |= (byte) (1 << way);
                hits++;
                return address(at);
            }
        }
        misses++;
        return 0;
    }

    /**
     * Gives a page that was not found an entry, in place of one that was not found for long; the caller must write its
     * whole content.
     *
     * @return the entry's address, or 0 if there is no cache
     */
    public long insert(int block, int page) {
        if (sets == 0) {
            return 0;
        }
        long key = key(block, page);
        int set = set(key);
        int used = this.used[set];
        int hand = hands[set];
        while ((used & 1 << hand) != 0) {
            used &= ~(1 << hand);
            hand = hand + 1 & WAYS - 1;
        }
        this.used[set] = (byte) used;
        hands[set] = (byte) (hand + 1 & WAYS - 1);
        int at = set * WAYS + hand;
        if (keys[at] != 0) {
            evictions++;
        }
        keys[at] = key;
        fingerprints[at] = 0;
        return address(at);
    }

    /**
     * Says what an entry holds from now on, so that {@link #findContent} finds it.
     *
     * @param entry address of the entry
     * @param fingerprint of its content; 0: it cannot be found
     */
    void fingerprint(long entry, int fingerprint) {
        int at = (int) ((entry - contentAddress) / PAGE_BYTES);
        fingerprints[at] = fingerprint;
        if (fingerprint != 0) {
            byFingerprint[fingerprint & byFingerprint.length - 1] = at + 1;
        }
    }

    /**
     * A page whose content, as last sent, is the same byte for byte.
     *
     * @param fingerprint of the content, not 0
     * @param address of the content
     * @return block and page as {@link #blockOf} and {@link #pageOf} read them; 0 if none is known
     */
    long findContent(int fingerprint, long address) {
        int at = byFingerprint[fingerprint & byFingerprint.length - 1] - 1;
        if (at < 0 || fingerprints[at] != fingerprint || !PageBytes.same(address, address(at))) {
            return 0;
        }
        return keys[at];
    }

    /** Block of a page that was found. */
    static int blockOf(long found) {
        return (int) (found >>> 32) - 1;
    }

    /** Number of a page that was found. */
    static int pageOf(long found) {
        return (int) found;
    }

    /** Forgets everything. */
    public void clear() {
        Arrays.fill(keys, 0);
        Arrays.fill(used, (byte) 0);
        Arrays.fill(hands, (byte) 0);
        Arrays.fill(fingerprints, 0);
        Arrays.fill(byFingerprint, 0);
    }

    /** Calls of {@link #find} that found the page. */
    public long hits() {
        return hits;
    }

    /** Calls of {@link #find} that did not. */
    public long misses() {
        return misses;
    }

    /** Pages that made place for others. */
    public long evictions() {
        return evictions;
    }

    private long address(int at) {
        // SAFETY: at < sets * WAYS, so the page lies within content, which this object keeps reachable.
        return contentAddress + (long) at * PAGE_BYTES;
    }

    private int set(long key) {
        long hash = key * 0x9e3779b97f4a7c15L;
        return (int) (((hash >>> 32) * sets) >>> 32);
    }

    /** Never 0, which marks an empty entry. */
    private static long key(int block, int page) {
        return (long) (block + 1) << 32 | (page & 0xffff_ffffL);
    }

    /** Gives the memory back; nothing may use the cache afterwards. */
    void free() {
        content.free();
    }
}
