package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Consecutive pages of one file, gathered to be written by one pwrite(2), or made a hole by one fallocate(2), instead of a call for each page. For
 * one thread at a time; allocates nothing after construction.
 */
final class PageRun {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    /** 256 KiB: the system call is under 2 % of the copy. */
    static final int PAGES_MAX = 64;

    private final ByteBuffer memory = BufferUtil.allocateDirectAligned(PAGES_MAX * PAGE_BYTES, PAGE_BYTES);
    private final UnsafeBuffer buffer = new UnsafeBuffer(memory);
    private final long address = BufferUtil.address(memory);
    private int file = -1;
    private int first;
    private int count;
    private boolean hole;

    /** Index of the file whose pages it holds; of no meaning if it is empty. */
    int file() {
        return file;
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Whether it holds any page from one up to, but not including, another. */
    boolean meets(int ofFile, int from, int end) {
        return count > 0 && ofFile == file && from < first + count && first < end;
    }

    /** Whether a page may be added: the run is empty, or ends right before it, is of its kind and has room. */
    boolean accepts(int ofFile, int page, boolean asHole) {
        return count == 0
                || (ofFile == file && page == first + count && asHole == hole && (asHole || count < PAGES_MAX));
    }

    /** Adds a page that it accepts: a direct buffer's first 4096 bytes. */
    void add(int ofFile, int page, ByteBuffer content) {
        buffer.putBytes(next(ofFile, page, false) * PAGE_BYTES, content, 0, PAGE_BYTES);
    }

    /** Adds a page of zeros that it accepts. */
    void addZeros(int ofFile, int page) {
        buffer.setMemory(next(ofFile, page, false) * PAGE_BYTES, PAGE_BYTES, (byte) 0);
    }

    /** Adds a page that is to be a hole, and that it accepts. */
    void addHole(int ofFile, int page) {
        next(ofFile, page, true);
    }

    private int next(int ofFile, int page, boolean asHole) {
        if (count == 0) {
            file = ofFile;
            first = page;
            hole = asHole;
        }
        return count++;
    }

    /**
     * Writes what it holds and is empty then, also if this throws.
     *
     * @param to the file of {@link #file()}
     * @param lengthBytes of that file: what a last page has beyond it is not written
     */
    void writeTo(FileRange to, long lengthBytes) throws LinuxException {
        long offset = (long) first * PAGE_BYTES;
        long length = (long) count * PAGE_BYTES;
        count = 0;
        if (hole) {
            // A file system frees whole blocks: the last one, too, if the hole goes to its end.
            to.punchHole(offset, length);
        } else {
            // SAFETY: the memory is this object's, and the pages counted, at most PAGES_MAX, are filled.
            to.write(address, Math.min(length, lengthBytes - offset), offset);
        }
    }
}
