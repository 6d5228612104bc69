package io.lockstep.replication.memory;

import io.lockstep.linux.Errno;
import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.PagemapScan;
import io.lockstep.replication.RamBlock;
import java.nio.file.Path;

/**
 * Finds pages of one shared, file-backed RAM block that became holes since it was last asked. Balloon, free-page reporting and
 * virtio-mem punch them, the pages read as zeros afterwards, and no tracker reports it. Needed only when a device that discards is there;
 * the caller decides.
 *
 * <p>May be asked at a stop or while the VM runs: a hole punched meanwhile is found the next time, and a page that was written again is
 * the tracker's. What it finds is read like any written page, at the stop of its epoch. At a stop it costs about 0.8 ms for 256 MiB.
 *
 * <p>A punched page is not mapped, so QEMU's page table is looked at first (PAGEMAP_SCAN), and the file only where that has nothing and
 * content was before: asking the file alone, page by page, takes five times as long, and is what is done where the kernel has no such scan.
 *
 * <p>Not seen is a page that was discarded and then read, but not written, before the next question: it is there again, as zeros. The
 * guest's drivers discard only pages whose content means nothing to it, and write them before they use them.
 */
public final class DiscardWatch implements AutoCloseable {
    private static final int ENTRIES = 1024;

    private final FileRange file;
    private final long fileOffset;
    private final MemoryRegion region;
    private final int pageCount;
    private final int firstFlat;
    private final PagemapScan scan;
    private final ScanVector vector = new ScanVector(ENTRIES);
    /** Pages of the block that were mapped, or in the file, when it was last asked. */
    private final PageBitmap populated;

    private boolean first = true;
    private boolean scans;

    /**
     * Opens the block's file once more, with a file position of our own. Reads nothing yet.
     *
     * @param path of the memory file, e.g. {@code /proc/PID/fd/N} or {@code /proc/PID/map_files/...} for a memfd
     * @param fileOffset where the block begins in the file, in bytes
     */
    public DiscardWatch(long pid, Path path, long fileOffset, PageIndex index, int block) throws LinuxException {
        this.region = index.regions().get(block);
        this.fileOffset = fileOffset;
        this.pageCount = region.block().pageCount();
        this.firstFlat = index.flat(block, 0);
        this.populated = new PageBitmap((pageCount + 63) / 64 * 64);
        this.file = FileRange.open(path, false);
        boolean done = false;
        try {
            this.scan = new PagemapScan(pid);
            done = true;
        } finally {
            if (!done) {
                file.close();
            }
        }
    }

    /**
     * Adds the pages that became holes, by flat index, to a bitmap; the first time none, it only looks.
     *
     * @return how many
     */
    public int discarded(PageBitmap into) throws LinuxException {
        if (first) {
            scans = kernelScans();
        }
        int count = scans ? scanned(into) : unmapped(0, pageCount, into);
        first = false;
        return count;
    }

    /** Kernels before 6.7 know no PAGEMAP_SCAN. */
    private boolean kernelScans() throws LinuxException {
        try {
            long start = region.hostAddress();
            // SAFETY: as below.
            var unused = scan.having(
                    0, PagemapScan.PAGE_IS_PRESENT, start, start + RamBlock.PAGE_BYTES, vector.address(), ENTRIES);
            return true;
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOTTY) {
                return false;
            }
            throw e;
        }
    }

    private int scanned(PageBitmap into) throws LinuxException {
        int count = 0;
        int mapped = 0;
        long end = region.hostEnd();
        for (long at = region.hostAddress(); at < end; at = scan.walkEnd()) {
            // SAFETY: the vector holds ENTRIES entries and lives as long as this object.
            int found = scan.having(0, PagemapScan.PAGE_IS_PRESENT, at, end, vector.address(), ENTRIES);
            for (int i = 0; i < found; i++) {
                int from = (int) ((vector.start(i) - region.hostAddress()) / RamBlock.PAGE_BYTES);
                int to = (int) ((vector.end(i) - region.hostAddress()) / RamBlock.PAGE_BYTES);
                populated.set(mapped, from);
                mapped = to;
                if (first || populated.nextSet(from) < to) {
                    count += unmapped(from, to, into);
                }
            }
        }
        populated.set(mapped, pageCount);
        return count;
    }

    /** Pages that are not mapped are holes, or were swapped out, or are in the file only. */
    private int unmapped(int from, int end, PageBitmap into) throws LinuxException {
        int count = 0;
        int page = from;
        while (page < end) {
            int data = Math.min(end, page(file.nextData(offset(page))));
            count += hole(page, data, into);
            if (data == end) {
                break;
            }
            page = Math.min(end, page(file.nextHole(offset(data))));
            populated.set(data, page);
        }
        return count;
    }

    private int hole(int from, int end, PageBitmap into) {
        int count = 0;
        for (int page = populated.nextSet(from); page < end; page = populated.nextSet(page)) {
            int last = Math.min(end, populated.nextClear(page));
            into.set(firstFlat + page, firstFlat + last);
            populated.clear(page, last);
            count += last - page;
            page = last;
        }
        return count;
    }

    @Override
    public void close() {
        file.close();
        scan.close();
    }

    private long offset(int page) {
        return fileOffset + (long) page * RamBlock.PAGE_BYTES;
    }

    private int page(long offset) {
        return (int) Math.min(pageCount, (offset - fileOffset) / RamBlock.PAGE_BYTES);
    }
}
