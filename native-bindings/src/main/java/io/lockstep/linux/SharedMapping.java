package io.lockstep.linux;

import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** A file mapped shared into this process at a fixed address until it is closed; mmap(2). Access from any thread. */
public final class SharedMapping implements AutoCloseable {
    /** No read-ahead around a fault. */
    public static final int MADV_RANDOM = 1;
    /** The pages go back to the file's cache alone. */
    public static final int MADV_DONTNEED = 4;

    private static final int PROT_READ = 1;
    private static final int PROT_WRITE = 2;
    private static final int MAP_SHARED = 1;
    private static final int MAP_POPULATE = 0x8000;

    private final Path path;
    private final long address;
    private final long lengthBytes;
    private boolean mapped = true;

    private SharedMapping(Path path, long address, long lengthBytes) {
        this.path = path;
        this.address = address;
        this.lengthBytes = lengthBytes;
    }

    /**
     * Maps a file for reading and writing, after creating it (mode 0600) if it is not there and giving it this length.
     *
     * @param populate whether to take all its pages from the file system and fault them in now
     */
    public static SharedMapping create(Path path, long lengthBytes, boolean populate) throws LinuxException {
        int fd = Descriptors.open(path.toString(), Libc.O_RDWR | Libc.O_CREAT, 0600);
        try {
            // SAFETY: no memory is passed.
            if (Libc.ftruncate(fd, lengthBytes) != 0) {
                throw new LinuxException("ftruncate(" + path + ", " + lengthBytes + ")", Libc.errno());
            }
            // A full tmpfs must show here: later it would be a SIGBUS, which ends the JVM.
            // SAFETY: no memory is passed.
            if (populate && Libc.fallocate(fd, 0, 0, lengthBytes) != 0) {
                throw new LinuxException("fallocate(" + path + ", " + lengthBytes + ")", Libc.errno());
            }
            return map(path, fd, lengthBytes, PROT_READ | PROT_WRITE, populate);
        } finally {
            Descriptors.close(fd);
        }
    }

    /** Maps the first lengthBytes of an existing file. */
    public static SharedMapping open(Path path, long lengthBytes, boolean writable) throws LinuxException {
        int fd = Descriptors.open(path, writable);
        try {
            return map(path, fd, lengthBytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, false);
        } finally {
            Descriptors.close(fd);
        }
    }

    private static SharedMapping map(Path path, int fd, long lengthBytes, int protection, boolean populate)
            throws LinuxException {
        int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);
        // SAFETY: the kernel chooses a free place; nothing that exists is replaced.
        long address = Libc.mmap(0, lengthBytes, protection, flags, fd, 0);
        if (address == -1) {
            throw new LinuxException("mmap(" + path + ", " + lengthBytes + ")", Libc.errno());
        }
        return new SharedMapping(path, address, lengthBytes);
    }

    /** Address of the file's first byte. */
    public long address() {
        return address;
    }

    /** Length in bytes. */
    public long lengthBytes() {
        return lengthBytes;
    }

    /** The whole of it in native byte order; at most 2 GiB. Nobody may use it after {@link #close()}. */
    public ByteBuffer buffer() {
        // SAFETY: the mapping is as long as that, and the caller gives the buffer up before it ends.
        return new Pointer(address).getByteBuffer(0, lengthBytes).order(ByteOrder.nativeOrder());
    }

    /** Gives advice on a part of it; madvise(2). */
    public void advise(long offset, long length, int advice) throws LinuxException {
        if (offset < 0 || length < 0 || offset > lengthBytes - length) {
            throw new IndexOutOfBoundsException("offset " + offset + " + length " + length + " > " + lengthBytes);
        }
        // SAFETY: the part lies within the mapping, as just checked.
        if (Libc.madvise(address + offset, length, advice) != 0) {
            throw new LinuxException(
                    "madvise(" + path + ", " + offset + ", " + length + ", " + advice + ")", Libc.errno());
        }
    }

    /** Ends the mapping; nobody may use the address afterwards. */
    @Override
    public synchronized void close() {
        if (mapped) {
            mapped = false;
            // SAFETY: the mapping is ours, whole, and was not ended before; its users are done with it.
            Libc.munmap(address, lengthBytes);
        }
    }
}
