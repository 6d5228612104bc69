package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;

/**
 * The replica's memory as it was at one boundary, in files of its own, while epochs go on being applied: a page that is about to change is
 * copied first, and all others in turn.
 *
 * <p>Invariant: once {@link #copy} has returned, every page of the files is as it was when {@link #begin} returned. Pages of zeros are holes.
 * {@link #beforeWrite} is called with the replica's files locked, and {@link #copy} locks them for 256 KiB at a time: the applier waits for
 * tens of microseconds at most.
 */
final class MemorySnapshot implements BeforeWrite, AutoCloseable {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int CHUNK_PAGES = 64;

    private final ReplicaFiles from;
    private final Path directory;
    private final FileRange[] files;
    private final List<Path> paths = new ArrayList<>();
    private final PageSet[] kept;
    private final ByteBuffer chunk = BufferUtil.allocateDirectAligned(CHUNK_PAGES * PAGE_BYTES, PAGE_BYTES);
    private final ByteBuffer single = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private final ByteBuffer zero = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private volatile @Nullable IOException failure;
    private long copiedBytes;

    /** @param directory is made; uid and gid get its files, which are QEMU's to map */
    MemorySnapshot(ReplicaFiles from, Path directory, int uid, int gid) throws IOException {
        this.from = from;
        this.directory = directory;
        List<RamBlock> blocks = from.blocks();
        files = new FileRange[blocks.size()];
        kept = new PageSet[blocks.size()];
        boolean done = false;
        try {
            Files.createDirectories(directory);
            for (int i = 0; i < files.length; i++) {
                Path path = ReplicaFiles.path(directory, i);
                Files.deleteIfExists(path);
                files[i] = FileRange.create(path, blocks.get(i).lengthBytes());
                paths.add(path);
                Files.setAttribute(path, "unix:uid", uid);
                Files.setAttribute(path, "unix:gid", gid);
                kept[i] = new PageSet(blocks.get(i).pageCount());
            }
            done = true;
        } finally {
            if (!done) {
                close();
            }
        }
    }

    /** The files, by block. */
    List<Path> paths() {
        return paths;
    }

    /** From now on nothing is lost of what the replica holds; the caller is at a boundary. */
    void begin() {
        from.before(this);
    }

    @Override
    public void beforeWrite(int block, int page) {
        if (failure == null && kept[block].add(page)) {
            try {
                from.readFile(block, page, 1, single);
                put(block, page, 1, single);
            } catch (IOException e) {
                failure = e;
            }
        }
    }

    /**
     * Copies what has not changed since.
     *
     * @param abandoned looked at every 256 KiB
     */
    void copy(BooleanSupplier abandoned) throws IOException {
        for (int block = 0; block < files.length; block++) {
            int pages = from.blocks().get(block).pageCount();
            for (int page = 0; page < pages; page += CHUNK_PAGES) {
                if (abandoned.getAsBoolean()) {
                    throw new IOException("the replica changed");
                }
                synchronized (from) {
                    copyChunk(block, page, Math.min(CHUNK_PAGES, pages - page));
                }
            }
        }
        from.before(null);
        IOException lost = failure;
        if (lost != null) {
            throw lost;
        }
    }

    private void copyChunk(int block, int first, int count) throws IOException {
        int page = first;
        while (page < first + count) {
            int run = 0;
            while (page + run < first + count && kept[block].add(page + run)) {
                run++;
            }
            if (run > 0) {
                from.readFile(block, page, run, chunk);
                put(block, page, run, chunk);
            }
            page += Math.max(1, run);
        }
    }

    /** Writes pages that hold anything. */
    private void put(int block, int first, int count, ByteBuffer content) throws IOException {
        int page = 0;
        while (page < count) {
            int run = 0;
            while (page + run < count && !isZero(content, page + run)) {
                run++;
            }
            if (run > 0) {
                // SAFETY: the buffer is this object's, direct, and the caller has read count pages into it.
                files[block].write(
                        BufferUtil.address(content) + (long) page * PAGE_BYTES,
                        (long) run * PAGE_BYTES,
                        (long) (first + page) * PAGE_BYTES);
                copiedBytes += (long) run * PAGE_BYTES;
            }
            page += Math.max(1, run);
        }
    }

    private boolean isZero(ByteBuffer content, int page) {
        return content.slice(page * PAGE_BYTES, PAGE_BYTES)
                        .mismatch(zero.duplicate().clear())
                < 0;
    }

    /** Bytes that are not zero. */
    long copiedBytes() {
        return copiedBytes;
    }

    /** Takes the files' names away: they are gone when the last process that maps them ends. */
    void unlink() throws IOException {
        for (Path path : paths) {
            Files.deleteIfExists(path);
        }
    }

    /**
     * Reads a run of pages of a block.
     *
     * @param into direct; filled from position 0 on, its limit is set
     * @return pages read, at most as many as fit
     */
    int read(int block, int firstPage, ByteBuffer into) throws IOException {
        int left = from.blocks().get(block).pageCount() - firstPage;
        int count = Math.min(left, into.capacity() / PAGE_BYTES);
        into.clear();
        // SAFETY: the buffer is direct and count pages fit in its capacity.
        long bytes =
                files[block].read(BufferUtil.address(into), (long) count * PAGE_BYTES, (long) firstPage * PAGE_BYTES);
        if (bytes != (long) count * PAGE_BYTES) {
            throw new IOException("read of block " + block + ": " + bytes + " bytes != " + count + " pages");
        }
        into.limit(count * PAGE_BYTES);
        return count;
    }

    @Override
    public void close() {
        from.before(null);
        for (FileRange file : files) {
            if (file != null) {
                file.close();
            }
        }
        Drill.removeTree(directory);
    }
}
