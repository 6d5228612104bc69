package io.lockstep.replication.pipeline;

import java.util.Arrays;

/**
 * Whether to try LZ4 on a page: what it saved lately on pages of the same region, at the link's present price of a byte,
 * against what it cost. Regions that do not compress are tried again now and then. One encoder owns it; nothing is allocated.
 */
final class CodecWorth {
    /** 512 pages, 2 MiB: content of one kind lies together. */
    private static final int REGION_PAGES_SHIFT = 9;
    /** 1024 regions × 2 MiB = 2 GiB before two regions share statistics. */
    private static final int REGIONS = 1 << 10;
    /** A page that is not worth it is tried all the same once in so many. */
    private static final int RETRY_PAGES = 32;
    /** One call in so many is timed: the clock costs 25 ns. */
    private static final int TIMED_CALLS = 16;

    private static final short UNKNOWN = -1;
    /** What LZ4 costs on 4 KiB before the first measurement; measured 1.5–3.5 µs. */
    private static final long NS_ASSUMED = 3_000;
    /** A single measurement above this was a descheduled thread, not LZ4. */
    private static final long NS_PLAUSIBLE_MAX = 50_000;

    private static final int PAGE_BYTES = 4096;

    private final short[] savedByRegion = new short[REGIONS];
    private int savedOverall = PAGE_BYTES / 2;
    private long lz4Ns = NS_ASSUMED;
    private long savedBytesMin = NS_ASSUMED * LinkPrice.SCALE / LinkPrice.FLOOR;
    private int skipped;
    private int calls;

    CodecWorth() {
        Arrays.fill(savedByRegion, UNKNOWN);
    }

    /** Index of the statistics of a page. */
    static int region(int block, int page) {
        return (page >>> REGION_PAGES_SHIFT) * 31 + block * 0x9e37 & REGIONS - 1;
    }

    /** Takes the price of a byte on the link, in ns × {@link LinkPrice#SCALE}; not 0. */
    void price(long scaledNsPerByte) {
        savedBytesMin = lz4Ns * LinkPrice.SCALE / scaledNsPerByte;
    }

    /** Bytes that LZ4 is expected to save on a page of the region. */
    int expectedSaving(int region) {
        int saved = savedByRegion[region];
        return saved == UNKNOWN ? savedOverall : saved;
    }

    /** Whether to run LZ4 on a page of which {@code bytes} would be sent otherwise. */
    boolean tryLz4(int region, int bytes) {
        int saving = expectedSaving(region) - (PAGE_BYTES - bytes);
        if (saving > savedBytesMin) {
            return true;
        }
        if (bytes == PAGE_BYTES && ++skipped >= RETRY_PAGES) {
            skipped = 0;
            return true;
        }
        return false;
    }

    /** Whether the next call should be timed. */
    boolean timeNext() {
        return (++calls & TIMED_CALLS - 1) == 0;
    }

    /** Learns from one call: bytes saved against a raw page, 0 if none. */
    void result(int region, int savedBytes) {
        int before = savedByRegion[region];
        // 3/4 old, 1/4 new: a region's kind is known after a few pages, and so is its change.
        savedByRegion[region] = (short) (before == UNKNOWN ? savedBytes : before + (savedBytes - before) / 4);
        savedOverall += (savedBytes - savedOverall) / 16;
    }

    /** Learns from a timed call. */
    void took(long ns) {
        if (ns > 0 && ns < NS_PLAUSIBLE_MAX) {
            lz4Ns += (ns - lz4Ns) / 8;
        }
    }
}
