package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.disk.NbdException;
import io.lockstep.replication.disk.NbdExport;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;

/**
 * A disk of the replica as it was at one boundary, to be read and written by a guest without changing the replica's image: what the guest
 * writes, and what an image's page held before an epoch changed it, goes to a file that has no name.
 *
 * <p>Invariant: the image is written by the applier alone. Everything here happens with the images' lock held; the applier waits for one page
 * at a time. The file is bounded: beyond that the overlay fails, the drill with it, and the replica goes on.
 */
final class DiskOverlay implements NbdExport, AutoCloseable {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    private final ReplicaDisks images;
    private final int disk;
    private final long sizeBytes;
    private final FileRange overlay;
    private final PageSet own;
    private final int pagesMax;
    private final ByteBuffer page = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private volatile @Nullable String failure;

    /**
     * @param file is made, and loses its name at once
     * @param bytesMax most that it may take
     */
    DiskOverlay(ReplicaDisks images, int disk, Path file, long bytesMax) throws IOException {
        this.images = images;
        this.disk = disk;
        sizeBytes = images.disks().get(disk).lengthBytes();
        int pages = images.disks().get(disk).pageCount();
        pagesMax = (int) Math.min(pages, bytesMax / PAGE_BYTES);
        own = new PageSet(pages);
        Files.deleteIfExists(file);
        overlay = FileRange.create(file, (long) pages * PAGE_BYTES);
        Files.delete(file);
    }

    /** Why the disk is not what it was any more; null if it is. */
    @Nullable
    String failure() {
        return failure;
    }

    /** Keeps the image's page, with the lock held. */
    void keep(int number) {
        try {
            if (failure == null && !own.contains(number)) {
                copyUp(number);
            }
        } catch (IOException e) {
            failure = String.valueOf(e.getMessage());
        }
    }

    private void copyUp(int number) throws IOException {
        if (own.count() >= pagesMax) {
            throw new IOException("the overlay of disk " + disk + " is full: " + pagesMax + " pages");
        }
        images.read(disk, number, page);
        // SAFETY: the buffer is this object's, direct, of one page.
        overlay.write(BufferUtil.address(page), PAGE_BYTES, (long) number * PAGE_BYTES);
        own.add(number);
    }

    @Override
    public String name() {
        return "disk-" + disk;
    }

    @Override
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public boolean readOnly() {
        return false;
    }

    @Override
    public void read(long offset, ByteBuffer into) throws NbdException {
        try {
            for (long at = offset; into.hasRemaining(); ) {
                int within = (int) (at % PAGE_BYTES);
                int count = Math.min(PAGE_BYTES - within, into.remaining());
                synchronized (images) {
                    requireSound();
                    load((int) (at / PAGE_BYTES));
                    into.put(page.duplicate().limit(within + count).position(within));
                }
                at += count;
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }

    @Override
    public void write(long offset, ByteBuffer data, boolean fua) throws NbdException {
        try {
            for (long at = offset; data.hasRemaining(); ) {
                int within = (int) (at % PAGE_BYTES);
                int count = Math.min(PAGE_BYTES - within, data.remaining());
                synchronized (images) {
                    requireSound();
                    change((int) (at / PAGE_BYTES), within, data.slice().limit(count));
                }
                data.position(data.position() + count);
                at += count;
            }
        } catch (IOException e) {
            throw failed(e);
        }
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayTrim, boolean fua) throws NbdException {
        ByteBuffer zeros = ByteBuffer.allocate(PAGE_BYTES);
        for (long at = offset; at < offset + length; at += PAGE_BYTES) {
            zeros.clear().limit((int) Math.min(PAGE_BYTES, offset + length - at));
            write(at, zeros, fua);
        }
    }

    @Override
    public void trim(long offset, long length, boolean fua) {
        // It is thrown away as a whole.
    }

    @Override
    public void flush() {
        // Nobody needs it after a loss of power.
    }

    private void load(int number) throws IOException {
        page.clear();
        if (own.contains(number)) {
            // SAFETY: as in copyUp().
            overlay.read(BufferUtil.address(page), PAGE_BYTES, (long) number * PAGE_BYTES);
        } else {
            images.read(disk, number, page);
        }
    }

    private void change(int number, int within, ByteBuffer part) throws IOException {
        if (!own.contains(number)) {
            copyUp(number);
        } else {
            load(number);
        }
        page.duplicate().clear().position(within).put(part);
        // SAFETY: as in copyUp().
        overlay.write(BufferUtil.address(page), PAGE_BYTES, (long) number * PAGE_BYTES);
    }

    private void requireSound() throws IOException {
        String why = failure;
        if (why != null) {
            throw new IOException(why);
        }
    }

    private NbdException failed(IOException e) {
        failure = String.valueOf(e.getMessage());
        return new NbdException(NbdException.EIO, String.valueOf(e.getMessage()), e);
    }

    @Override
    public void close() {
        overlay.close();
    }
}
