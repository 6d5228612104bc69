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

    private static final int UNKNOWN = -1;
    /** What LZ4 costs on 4 KiB before the first measurement; measured 0.8–6 µs. */
    private static final int NS_ASSUMED = 3_000;
    /** A measurement above this counts as this: one preemption must not condemn a region for long. */
    private static final long NS_MAX = 100_000;

    private static final int PAGE_BYTES = 4096;

    private final int[] savedByRegion = new int[REGIONS];
    private final int[] nsByRegion = new int[REGIONS];
    private int savedOverall = PAGE_BYTES / 2;
    private int nsOverall = NS_ASSUMED;
    private long price = LinkPrice.FLOOR;
    private int skipped;

    CodecWorth() {
        Arrays.fill(savedByRegion, UNKNOWN);
        Arrays.fill(nsByRegion, NS_ASSUMED);
    }

    /** Index of the statistics of a page. */
    static int region(int block, int page) {
        return ((page >>> REGION_PAGES_SHIFT) * 31 + block * 0x9e37) & (REGIONS - 1);
    }

    /** Takes the price of a byte on the link, in ns × {@link LinkPrice#SCALE}. */
    void price(long scaledNsPerByte) {
        price = scaledNsPerByte;
    }

    /** Whether to run LZ4 on a page of which {@code bytes} would be sent otherwise. */
    boolean tryLz4(int region, int bytes) {
        int saved = savedByRegion[region];
        int ns = nsByRegion[region];
        if (saved == UNKNOWN) {
            saved = savedOverall;
            ns = nsOverall;
        }
        if ((saved - (PAGE_BYTES - bytes)) * price > ns * LinkPrice.SCALE) {
            return true;
        }
        if (bytes == PAGE_BYTES && ++skipped >= RETRY_PAGES) {
            skipped = 0;
            return true;
        }
        return false;
    }

    /** Learns from one call: bytes saved against a raw page, 0 if none, and the time that it took. */
    void result(int region, int savedBytes, long ns) {
        int tookNs = (int) Math.min(ns, NS_MAX);
        int before = savedByRegion[region];
        if (before == UNKNOWN) {
            savedByRegion[region] = savedBytes;
            nsByRegion[region] = (tookNs + nsOverall) / 2;
        } else {
            // 3/4 old, 1/4 new: a region's kind is known after a few pages, and so is its change. Times vary more.
            savedByRegion[region] = before + (savedBytes - before) / 4;
            nsByRegion[region] += (tookNs - nsByRegion[region]) / 16;
        }
        savedOverall += (savedBytes - savedOverall) / 16;
        nsOverall += (tookNs - nsOverall) / 64;
    }
}
