package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.pipeline.PageHash;
import io.lockstep.replication.pipeline.PageSink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The replica's memory: one file per RAM block, written with pwrite(2) and never mapped here, so that it costs this process nothing.
 *
 * <p>Consecutive pages are gathered and written at once; {@link #flush()} writes what is gathered. Pages known to be zero are not written
 * again as zeros. The bases of deltas of consecutive pages are read ahead. All methods are synchronized: the applier writes, the keeper of the standby reads. Nothing is allocated per page.
 */
final class ReplicaFiles implements PageSink, AutoCloseable {
    static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    /** Of what is read ahead at once: as many pages as are written at once. */
    private static final int AHEAD_BYTES = PageRun.PAGES_MAX * PAGE_BYTES;

    /** Pages that did not change lie between those that did: to read so many for nothing costs less than another system call. */
    private static final int SKIPPED_MAX = 16;

    private final List<RamBlock> blocks;
    private final List<Path> paths;
    private final FileRange[] files;
    private final PageSet[] zero;
    private final PageSet[] changed;
    private final PageRun gathered = new PageRun();
    private final ByteBuffer page = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private final long pageAddress = BufferUtil.address(page);
    /** The bases of the next pages, if deltas go on as they come: read, and not written since. */
    private final ByteBuffer ahead = BufferUtil.allocateDirectAligned(AHEAD_BYTES, PAGE_BYTES);

    private final UnsafeBuffer aheadBuffer = new UnsafeBuffer(ahead);
    private final long aheadAddress = BufferUtil.address(ahead);
    private int aheadBlock = -1;
    private int aheadPage;
    private int aheadEnd;
    /** Where the next base lies in the buffer. */
    private int aheadAt;
    /** Pages of the last read; the next one has twice as many if it goes on where that ended. */
    private int aheadWindow = 1;

    private @Nullable BeforeWrite before;
    private boolean closed;

    private ReplicaFiles(List<RamBlock> blocks, List<Path> paths, FileRange[] files, boolean fresh) {
        this.blocks = blocks;
        this.paths = paths;
        this.files = files;
        zero = new PageSet[files.length];
        changed = new PageSet[files.length];
        for (int i = 0; i < files.length; i++) {
            zero[i] = new PageSet(blocks.get(i).pageCount());
            changed[i] = new PageSet(blocks.get(i).pageCount());
            if (fresh) {
                zero[i].addAll();
            }
            changed[i].addAll();
        }
    }

    /** Path of a block's file. */
    static Path path(Path directory, int block) {
        return directory.resolve("block-" + block + ".ram");
    }

    /**
     * Makes the files and takes their memory.
     *
     * @throws LinuxException ENOSPC if there is not enough
     */
    static ReplicaFiles create(Path directory, List<RamBlock> blocks, int uid, int gid) throws IOException {
        FileRange[] files = new FileRange[blocks.size()];
        List<Path> paths = paths(directory, blocks);
        boolean done = false;
        try {
            for (int i = 0; i < files.length; i++) {
                Files.deleteIfExists(paths.get(i));
                files[i] = FileRange.create(paths.get(i), blocks.get(i).lengthBytes());
                files[i].reserve(0, blocks.get(i).lengthBytes());
                Files.setAttribute(paths.get(i), "unix:uid", uid);
                Files.setAttribute(paths.get(i), "unix:gid", gid);
            }
            done = true;
            return new ReplicaFiles(blocks, paths, files, true);
        } finally {
            if (!done) {
                closeAll(files);
                for (Path path : paths) {
                    Files.deleteIfExists(path);
                }
            }
        }
    }

    /**
     * Opens the files of an earlier process.
     *
     * @throws IOException if one is missing or has another length
     */
    static ReplicaFiles open(Path directory, List<RamBlock> blocks) throws IOException {
        FileRange[] files = new FileRange[blocks.size()];
        List<Path> paths = paths(directory, blocks);
        boolean done = false;
        try {
            for (int i = 0; i < files.length; i++) {
                files[i] = FileRange.open(paths.get(i), true);
                long length = files[i].lengthBytes();
                if (length != blocks.get(i).lengthBytes()) {
                    throw new IOException("length of " + paths.get(i) + " " + length + " != "
                            + blocks.get(i).lengthBytes());
                }
            }
            done = true;
            return new ReplicaFiles(blocks, paths, files, false);
        } finally {
            if (!done) {
                closeAll(files);
            }
        }
    }

    /** The session's blocks. */
    List<RamBlock> blocks() {
        return blocks;
    }

    /** Their files, in the same order. */
    List<Path> paths() {
        return paths;
    }

    /** Has something called before each page's content changes, with this object's lock held; null: nothing. */
    synchronized void before(@Nullable BeforeWrite wanted) {
        before = wanted;
    }

    /**
     * Reads pages as they are in the file; what is gathered and not yet written is not seen.
     *
     * @param into direct; gets count pages from position 0 on
     */
    synchronized void readFile(int block, int firstPage, int count, ByteBuffer into) throws IOException {
        // SAFETY: the buffer is direct, and its capacity is checked to hold count pages.
        readFully(block, BufferUtil.address(into), checkedBytes(into, count), firstPage);
    }

    private static int checkedBytes(ByteBuffer into, int pages) {
        if (pages * PAGE_BYTES > into.capacity()) {
            throw new IllegalArgumentException(pages + " pages > buffer of " + into.capacity() + " bytes");
        }
        return pages * PAGE_BYTES;
    }

    @Override
    public synchronized void read(int block, int number, ByteBuffer into) throws IOException {
        if (block != aheadBlock || number < aheadPage || number >= aheadEnd) {
            readAhead(block, number);
        }
        int skipped = number - aheadPage;
        aheadBuffer.getBytes(aheadAt + skipped * PAGE_BYTES, into, 0, PAGE_BYTES);
        aheadAt += (skipped + 1) * PAGE_BYTES;
        aheadPage = number + 1;
    }

    private void readAhead(int block, int number) throws IOException {
        boolean goesOn = block == aheadBlock && number >= aheadPage && number - aheadEnd < SKIPPED_MAX;
        int pages = goesOn ? Math.min(2 * aheadWindow, PageRun.PAGES_MAX) : 1;
        pages = Math.min(pages, blocks.get(block).pageCount() - number);
        if (gathered.meets(block, number, number + pages)) {
            writeGathered();
        }
        aheadBlock = -1;
        // SAFETY: ahead is this object's and has AHEAD_BYTES.
        readFully(block, aheadAddress, pages * PAGE_BYTES, number);
        aheadBlock = block;
        aheadPage = number;
        aheadEnd = number + pages;
        aheadAt = 0;
        aheadWindow = pages;
    }

    @Override
    public synchronized void write(int block, int number, ByteBuffer content) throws IOException {
        prepare(block, number);
        gathered.add(block, number, content);
        zero[block].remove(number);
    }

    @Override
    public synchronized void zero(int block, int number) throws IOException {
        if (zero[block].add(number)) {
            prepare(block, number);
            gathered.addZeros(block, number);
        }
    }

    /** Writes what is gathered, and forgets what was read ahead: from now on others may write. */
    synchronized void flush() throws IOException {
        aheadBlock = -1;
        writeGathered();
    }

    private void writeGathered() throws IOException {
        if (!gathered.isEmpty()) {
            int block = gathered.file();
            gathered.writeTo(files[block], blocks.get(block).lengthBytes());
        }
    }

    /** XXH64 of a page, as the primary computes it. */
    synchronized long hash(int block, int number) throws IOException {
        flush();
        readFully(block, pageAddress, PAGE_BYTES, number);
        return PageHash.of(page, 0);
    }

    /**
     * Takes the next run of pages of a block that changed since they were last taken, and counts them as taken.
     *
     * @param from first page to look at
     * @param into direct; gets the content of the run from position 0 on, as many pages as fit; its limit is set
     * @return the run's first page; -1 if there is none
     */
    synchronized int takeChanged(int block, int from, ByteBuffer into) throws IOException {
        flush();
        into.clear();
        int first = changed[block].next(from);
        if (first < 0) {
            into.limit(0);
            return -1;
        }
        int fits = into.capacity() / PAGE_BYTES;
        int count = 0;
        while (count < fits && changed[block].remove(first + count)) {
            count++;
        }
        // SAFETY: the buffer is direct and count pages fit in its capacity.
        readFully(block, BufferUtil.address(into), count * PAGE_BYTES, first);
        into.limit(count * PAGE_BYTES);
        return first;
    }

    /** Pages that no standby has been given: all of a new one's. */
    synchronized int changedCount(int block) {
        return changed[block].count();
    }

    /** Counts all pages as changed: the standby is a new process. */
    synchronized void allChanged() {
        for (PageSet set : changed) {
            set.addAll();
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            closeAll(files);
        }
    }

    private void prepare(int block, int number) throws IOException {
        if (closed) {
            throw new IOException("the replica's files are closed");
        }
        BeforeWrite keeper = before;
        if (keeper != null) {
            keeper.beforeWrite(block, number);
        }
        if (!gathered.accepts(block, number, false)) {
            writeGathered();
        }
        if (block == aheadBlock && number >= aheadPage && number < aheadEnd) {
            aheadEnd = number;
        }
        changed[block].add(number);
    }

    private void readFully(int block, long address, int length, int firstPage) throws IOException {
        if (closed) {
            throw new IOException("the replica's files are closed");
        }
        // SAFETY: each caller says why length bytes at address are its own.
        long count = files[block].read(address, length, (long) firstPage * PAGE_BYTES);
        if (count != length) {
            throw new IOException(
                    "read of " + paths.get(block) + " page " + firstPage + ": " + count + " bytes != " + length);
        }
    }

    private static List<Path> paths(Path directory, List<RamBlock> blocks) {
        return blocks.stream().map(block -> path(directory, block.index())).toList();
    }

    private static void closeAll(FileRange[] files) {
        for (FileRange file : files) {
            if (file != null) {
                file.close();
            }
        }
    }
}
