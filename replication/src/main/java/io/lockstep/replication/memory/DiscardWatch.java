package io.lockstep.replication.memory;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import java.nio.file.Path;

/**
 * Finds pages of one shared, file-backed RAM block that became holes since it was last asked. Balloon, free-page reporting and
 * virtio-mem punch them, the pages read as zeros afterwards, and no tracker reports it. To be asked at a stop, when a device that
 * discards is there; the caller decides.
 *
 * <p>Not seen is a page that was discarded and then read, but not written, before the next question: it is there again, as zeros. The
 * guest's drivers discard only pages whose content means nothing to it, and write them before they use them.
 */
public final class DiscardWatch implements AutoCloseable {
    private final FileRange file;
    private final long fileOffset;
    private final int pageCount;
    private final int firstFlat;
    private final PageBitmap populated;

    /**
     * Opens the block's file by QEMU's own descriptor: a file position of our own, QEMU's stays.
     *
     * @param fd the descriptor in QEMU, e.g. of its memfd
     * @param fileOffset where the block begins in the file, in bytes
     */
    public DiscardWatch(long pid, int fd, long fileOffset, PageIndex index, int block) throws LinuxException {
        this.file = FileRange.open(Path.of("/proc/" + pid + "/fd/" + fd), false);
        this.fileOffset = fileOffset;
        this.pageCount = index.regions().get(block).block().pageCount();
        this.firstFlat = index.flat(block, 0);
        this.populated = new PageBitmap((pageCount + 63) / 64 * 64);
    }

    /** Adds the pages that became holes, by flat index, to a bitmap; the first time none, it only looks. */
    public int discarded(PageBitmap into) throws LinuxException {
        long end = fileOffset + (long) pageCount * RamBlock.PAGE_BYTES;
        int discardedCount = 0;
        long at = fileOffset;
        while (at < end) {
            long data = Math.min(end, file.nextData(at));
            discardedCount += hole(page(at), page(data), into);
            if (data == end) {
                break;
            }
            at = Math.min(end, file.nextHole(data));
            populated.set(page(data), page(at));
        }
        return discardedCount;
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
    }

    private int page(long offset) {
        return (int) ((offset - fileOffset) / RamBlock.PAGE_BYTES);
    }
}
