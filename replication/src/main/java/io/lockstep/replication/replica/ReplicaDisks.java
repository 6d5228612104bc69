package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.replica.ReplicaMarker.BootId;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;

/**
 * The images of the replica's disks: raw files, sparse, written with pwrite(2) as epochs are applied. Consecutive pages are gathered and written at
 * once; {@link #flush()} writes what is gathered.
 *
 * <p>Invariant: between two epochs, once flushed, an image is exactly as old as the replica's memory. All methods are synchronized; nothing is allocated per
 * page.
 */
final class ReplicaDisks implements AutoCloseable {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    private final List<ReplicatedDisk> disks;
    private final List<Path> paths;
    private final FileRange[] images;
    private final PageRun gathered = new PageRun();
    private @Nullable BeforeWrite before;
    private final long id;
    private boolean closed;

    private ReplicaDisks(long id, List<ReplicatedDisk> disks, List<Path> paths, FileRange[] images) {
        this.id = id;
        this.disks = disks;
        this.paths = paths;
        this.images = images;
    }

    /** Path of a disk's image. */
    static Path path(Path directory, int disk) {
        return directory.resolve("disk-" + disk + ".raw");
    }

    /** Makes empty images, which take no space, and gives them to QEMU's user. */
    static ReplicaDisks create(Path directory, SessionHello hello, BootId boot) throws IOException {
        ImagesRecord record = ImagesRecord.create(hello, boot);
        long id = hello.disks().isEmpty() ? 0 : record.id();
        ReplicaDisks made = create(directory, id, hello.disks(), (int) hello.qemuUid(), (int) hello.qemuGid());
        boolean done = false;
        try {
            if (id != 0) {
                record.store(directory);
            }
            done = true;
            return made;
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    /** Makes empty images of a number, which nobody remembers. */
    static ReplicaDisks create(Path directory, long id, List<ReplicatedDisk> disks, int uid, int gid)
            throws IOException {
        List<Path> paths = paths(directory, disks);
        for (Path path : paths) {
            Files.deleteIfExists(path);
        }
        ReplicaDisks made = opened(id, paths, disks, true);
        boolean done = false;
        try {
            for (Path path : paths) {
                Files.setAttribute(path, "unix:uid", uid);
                Files.setAttribute(path, "unix:gid", gid);
            }
            done = true;
            return made;
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    /**
     * Opens the images of an earlier process.
     *
     * @throws IOException if one is missing or has another length
     */
    static ReplicaDisks open(Path directory, List<ReplicatedDisk> disks) throws IOException {
        ImagesRecord record = disks.isEmpty() ? null : ImagesRecord.load(directory);
        return opened(record == null ? 0 : record.id(), paths(directory, disks), disks, false);
    }

    private static ReplicaDisks opened(long id, List<Path> paths, List<ReplicatedDisk> disks, boolean create)
            throws IOException {
        FileRange[] images = new FileRange[disks.size()];
        ReplicaDisks made = new ReplicaDisks(id, List.copyOf(disks), paths, images);
        boolean done = false;
        try {
            for (int i = 0; i < images.length; i++) {
                long wanted = disks.get(i).lengthBytes();
                images[i] = create ? FileRange.create(paths.get(i), wanted) : FileRange.open(paths.get(i), true);
                long length = images[i].lengthBytes();
                if (length != wanted) {
                    throw new IOException("length of " + paths.get(i) + " " + length + " != " + wanted);
                }
            }
            done = true;
            return made;
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    private static List<Path> paths(Path directory, List<ReplicatedDisk> disks) {
        return java.util.stream.IntStream.range(0, disks.size())
                .mapToObj(i -> path(directory, i))
                .toList();
    }

    /** Another one each time that the images are made anew; 0 if nobody knows. */
    long id() {
        return id;
    }

    /** The session's disks. */
    List<ReplicatedDisk> disks() {
        return disks;
    }

    /** Their files, in the same order. */
    List<Path> paths() {
        return paths;
    }

    /** Has something called before each page's content changes, with this object's lock held; null: nothing. */
    synchronized void before(@Nullable BeforeWrite wanted) {
        before = wanted;
    }

    /** Fills the buffer with a page; beyond the disk's end it is zero. */
    synchronized void read(int disk, int page, ByteBuffer into) throws IOException {
        requireOpen();
        if (gathered.meets(disk, page, page + 1)) {
            flush();
        }
        long address = BufferUtil.address(into);
        // SAFETY: the caller's buffer is direct and has 4096 bytes from position 0 on, PageSink's contract.
        long count = images[disk].read(address, PAGE_BYTES, (long) page * PAGE_BYTES);
        for (int i = (int) count; i < PAGE_BYTES; i++) {
            into.put(i, (byte) 0);
        }
    }

    /** Takes a page, up to the disk's end. */
    synchronized void write(int disk, int page, ByteBuffer content) throws IOException {
        prepare(disk, page, false);
        gathered.add(disk, page, content);
    }

    /** Takes a page as a hole. */
    synchronized void zero(int disk, int page) throws IOException {
        prepare(disk, page, true);
        gathered.addHole(disk, page);
    }

    private void prepare(int disk, int page, boolean hole) throws IOException {
        requireOpen();
        keep(disk, page);
        if (!gathered.accepts(disk, page, hole)) {
            flush();
        }
    }

    /** Writes what is gathered: from now on others may read the images. */
    synchronized void flush() throws IOException {
        if (!gathered.isEmpty()) {
            int disk = gathered.file();
            gathered.writeTo(images[disk], disks.get(disk).lengthBytes());
        }
    }

    private void keep(int disk, int page) {
        BeforeWrite keeper = before;
        if (keeper != null) {
            keeper.beforeWrite(disk, page);
        }
    }

    private void requireOpen() throws IOException {
        if (closed) {
            throw new IOException("the replica's images are closed");
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            for (FileRange image : images) {
                if (image != null) {
                    image.close();
                }
            }
        }
    }
}
