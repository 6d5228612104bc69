package io.lockstep.replication.protection;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.memory.PageBitmap;
import io.lockstep.replication.memory.PageIndex;
import org.jspecify.annotations.Nullable;

/**
 * Which pages of shared memory files have no content yet. Reading such a page through the process would allocate it: a first copy would
 * blow a sparse VM up to its full size. They are zero, and sent as such without reading. Private memory needs no such care: there the
 * kernel maps its one zero page. Capture thread only.
 */
final class PopulatedPages implements AutoCloseable {
    private final PageIndex index;
    private final @Nullable FileRange[] files;
    private final long[] fileOffsets;
    private final PageBitmap holes;

    /**
     * @param files of block i at position i; null for private memory
     * @param fileOffsets where the block begins in its file
     */
    PopulatedPages(PageIndex index, @Nullable FileRange[] files, long[] fileOffsets) {
        this.index = index;
        this.files = files.clone();
        this.fileOffsets = fileOffsets.clone();
        this.holes = new PageBitmap(index.limit());
    }

    /** Looks at the files anew. */
    void refresh() throws LinuxException {
        holes.clear();
        for (int block = 0; block < files.length; block++) {
            FileRange file = files[block];
            if (file != null) {
                refresh(block, file);
            }
        }
    }

    private void refresh(int block, FileRange file) throws LinuxException {
        int first = index.flat(block, 0);
        long start = fileOffsets[block];
        long end = start + index.regions().get(block).block().lengthBytes();
        for (long at = start; at < end; ) {
            long data = Math.min(end, file.nextData(at));
            holes.set(first + pages(at - start), first + pages(data - start));
            at = data < end ? Math.min(end, file.nextHole(data)) : end;
        }
    }

    /** The guest or its devices wrote these pages. */
    void written(int from, int to) {
        holes.clear(from, to);
    }

    /** These pages lost their content. */
    void discarded(int from, int to) {
        holes.set(from, to);
    }

    /** Whether the page had no content at the last look, and was not written since. */
    boolean isHole(int flat) {
        return holes.get(flat);
    }

    /** How many of the next pages are alike: all holes, or none; at most {@code pageCount}. */
    int run(int flat, int pageCount) {
        int other = holes.get(flat) ? holes.nextClear(flat) : holes.nextSet(flat);
        return Math.min(pageCount, other - flat);
    }

    /** Whether the page has no content now. */
    boolean holeNow(int flat) throws LinuxException {
        int block = index.block(flat);
        FileRange file = files[block];
        if (file == null) {
            return false;
        }
        long offset = fileOffsets[block] + (long) (flat - index.flat(block, 0)) * RamBlock.PAGE_BYTES;
        return file.nextData(offset) != offset;
    }

    private static int pages(long bytes) {
        return (int) (bytes / RamBlock.PAGE_BYTES);
    }

    @Override
    public void close() {
        for (FileRange file : files) {
            if (file != null) {
                file.close();
            }
        }
    }
}
