package io.lockstep.replication.disk;

import io.lockstep.linux.SharedMapping;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * How far the copy of each disk is, in a file on tmpfs that outlives this process, but not QEMU's host.
 *
 * <p>Invariants: The peer's images of this number hold all of a disk below {@code copied}, but for what QEMU's bitmaps list
 * ({@link BitmapTrail}); they hold nothing of a disk beyond {@code reach}, but for the same. {@code copied} grows when an epoch is acknowledged,
 * {@code reach} before anything beyond it is handed over. Killing a process keeps the order of its stores.
 *
 * <pre>
 *      0 | magic u64 | version u32 | identity u32 | images id u64 | serving u64 |
 *     64 | disk 0: copied u64, reach u64 | disk 1 | ...
 * </pre>
 *
 * Written by the capture thread, but for {@code reach}, which is the copying thread's.
 */
final class CopyLedger implements AutoCloseable {
    private static final long MAGIC = 0x4b53_4944_4c53_4c31L;
    private static final int VERSION = 1;
    private static final int VERSION_OFFSET = 8;
    private static final int IDENTITY_OFFSET = 12;
    private static final int IMAGES_OFFSET = 16;
    private static final int SERVING_OFFSET = 24;
    private static final int DISKS_OFFSET = 64;
    private static final int DISK_BYTES = 16;

    private final Path path;
    private final int disks;
    private final SharedMapping mapping;
    private final UnsafeBuffer buffer;

    /**
     * Opens it, and takes over what an earlier life of the agent left, if it is about the same.
     *
     * @param about the VM, its process and its disks
     */
    CopyLedger(Path path, String about, int disks) throws IOException {
        this.path = path;
        this.disks = disks;
        CRC32C crc = new CRC32C();
        crc.update(about.getBytes(StandardCharsets.UTF_8));
        int identity = (int) crc.getValue();
        long bytes = DISKS_OFFSET + (long) disks * DISK_BYTES;
        mapping = SharedMapping.create(path, bytes, true);
        // SAFETY: the mapping has these bytes, and is ended by close() alone.
        buffer = new UnsafeBuffer(mapping.address(), (int) bytes);
        if (buffer.getLong(0) != MAGIC
                || buffer.getInt(VERSION_OFFSET) != VERSION
                || buffer.getInt(IDENTITY_OFFSET) != identity) {
            buffer.putLong(0, 0);
            VarHandle.fullFence();
            buffer.setMemory(Long.BYTES, (int) bytes - Long.BYTES, (byte) 0);
            buffer.putInt(VERSION_OFFSET, VERSION);
            buffer.putInt(IDENTITY_OFFSET, identity);
            VarHandle.fullFence();
            buffer.putLong(0, MAGIC);
        }
    }

    /** The peer's images that all of this is about; 0 for none. Any thread. */
    long imagesId() {
        return buffer.getLongVolatile(IMAGES_OFFSET);
    }

    /** From now on about other images, of which nothing is known. */
    void begin(long imagesId) {
        buffer.putLong(IMAGES_OFFSET, 0);
        VarHandle.fullFence();
        buffer.setMemory(DISKS_OFFSET, disks * DISK_BYTES, (byte) 0);
        VarHandle.fullFence();
        buffer.putLong(IMAGES_OFFSET, imagesId);
    }

    /** The peer has all before it, bytes. */
    long copied(int disk) {
        return buffer.getLongVolatile(DISKS_OFFSET + disk * DISK_BYTES);
    }

    /** The peer has all before it; never less than before. */
    void copied(int disk, long end) {
        buffer.putLongVolatile(DISKS_OFFSET + disk * DISK_BYTES, Math.max(copied(disk), end));
    }

    /** Nothing beyond it was handed over, bytes. */
    long reach(int disk) {
        return buffer.getLongVolatile(DISKS_OFFSET + disk * DISK_BYTES + Long.BYTES);
    }

    /** What lies before it may be handed over from now on. */
    void reach(int disk, long end) {
        buffer.putLongVolatile(DISKS_OFFSET + disk * DISK_BYTES + Long.BYTES, Math.max(reach(disk), end));
    }

    /** Whether the NBD server in QEMU is, or may be, ours. */
    boolean serving() {
        return buffer.getLong(SERVING_OFFSET) != 0;
    }

    /** To be said before it starts, and after it was stopped. */
    void serving(boolean on) {
        buffer.putLong(SERVING_OFFSET, on ? 1 : 0);
        VarHandle.fullFence();
    }

    /** Ends the use and removes the file: protection is over. */
    void delete() throws IOException {
        close();
        Files.deleteIfExists(path);
    }

    @Override
    public void close() {
        mapping.close();
    }
}
