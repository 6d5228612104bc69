package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.PagemapScan;
import io.lockstep.linux.Userfaultfd;
import java.nio.ByteBuffer;
import org.agrona.BufferUtil;

/**
 * What the first write to an armed page costs on this machine: 1 µs on a processor of its own, more than ten times that within a virtual machine,
 * where the change of a page table leaves it.
 */
public final class FaultCost {
    private static final int PAGE_BYTES = 4096;
    /** 256 faults of 14 µs take 4 ms. */
    private static final int PAGES = 256;
    /** The least of them counts: others had to wait for a core. */
    private static final int ROUNDS = 3;
    /** Where it cannot be measured. */
    private static final long UNKNOWN_NS = 1_000;

    private FaultCost() {}

    /** Measures it in memory of this process, some milliseconds; a usual cost if userfaultfd(2) is refused here. */
    public static long measureNs() {
        ByteBuffer pages = BufferUtil.allocateDirectAligned(PAGES * PAGE_BYTES, PAGE_BYTES);
        long start = BufferUtil.address(pages);
        try (Userfaultfd userfaultfd = Userfaultfd.create();
                PagemapScan scan = new PagemapScan(ProcessHandle.current().pid())) {
            userfaultfd.enable(Userfaultfd.FEATURES_ASYNC_TRACKING);
            userfaultfd.registerWriteProtect(start, pages.capacity());
            try {
                long least = Long.MAX_VALUE;
                for (int round = 0; round < ROUNDS; round++) {
                    least = Math.min(least, round(scan, pages, start));
                }
                return least / PAGES;
            } finally {
                userfaultfd.unregister(start, pages.capacity());
            }
        } catch (LinuxException e) {
            return UNKNOWN_NS;
        }
    }

    private static long round(PagemapScan scan, ByteBuffer pages, long start) throws LinuxException {
        NativeBlock ranges = new NativeBlock(PAGES * PagemapScan.ENTRY_BYTES);
        // SAFETY: as many entries as there are pages, in a block that lives until the call returns.
        scan.written(start, start + pages.capacity(), true, ranges.address(), PAGES);
        long beganNs = System.nanoTime();
        for (int page = 0; page < PAGES; page++) {
            pages.put(page * PAGE_BYTES, (byte) page);
        }
        return System.nanoTime() - beganNs;
    }
}
