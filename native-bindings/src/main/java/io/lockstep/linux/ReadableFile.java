package io.lockstep.linux;

import java.nio.ByteBuffer;
import java.nio.file.Path;

/**
 * A file of the kernel's that is read without ever blocking, such as {@code trace_pipe_raw} or {@code /dev/kmsg}; open(2) with O_NONBLOCK,
 * read(2). For one thread.
 */
public final class ReadableFile implements AutoCloseable {
    /** {@link #read()}: nothing is there now. */
    public static final int NOTHING = 0;

    /** {@link #read()}: the end, or the file's owner is gone. */
    public static final int END = -1;

    /** {@link #read()}: the kernel dropped what was to be read next (EPIPE of /dev/kmsg); reading goes on behind the gap. */
    public static final int GAP = -2;

    private static final int SEEK_END = 2;

    private final Path path;
    private final NativeBlock block;
    private final int fd;

    /**
     * Opens it.
     *
     * @param bytesMax most bytes that one read gives, at least 1
     */
    public ReadableFile(Path path, int bytesMax) throws LinuxException {
        this.path = path;
        block = new NativeBlock(bytesMax);
        fd = Descriptors.open(path.toString(), Libc.O_RDONLY | Libc.O_NONBLOCK, 0);
    }

    /** For {@link Poll}. */
    public int fd() {
        return fd;
    }

    /** What the last read gave, from offset 0; little-endian. */
    public ByteBuffer buffer() {
        return block.buffer();
    }

    /**
     * Reads once.
     *
     * @return bytes now in the buffer, at least 1; or {@link #NOTHING}, {@link #END} or {@link #GAP}
     */
    public int read() throws LinuxException {
        return read(block.address());
    }

    /**
     * Reads once, into memory of the caller's.
     *
     * @param address of as many bytes as one read gives at most; the caller keeps them mapped
     * @return as {@link #read()}
     */
    public int read(long address) throws LinuxException {
        while (true) {
            // SAFETY: the memory is as long as the length says, as the constructor and the caller say; fd is open until
            // close().
            long count = Libc.read(fd, address, block.length());
            if (count > 0) {
                return (int) count;
            }
            if (count == 0) {
                return END;
            }
            int errno = Libc.errno();
            switch (errno) {
                case Errno.EAGAIN -> {
                    return NOTHING;
                }
                case Errno.EPIPE -> {
                    return GAP;
                }
                case Errno.EINTR -> {}
                default -> throw new LinuxException("read(" + path + ")", errno);
            }
        }
    }

    /** Goes to the end, past everything that was there before; lseek(2). */
    public void seekToEnd() throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.lseek(fd, 0, SEEK_END) < 0) {
            throw new LinuxException("lseek(" + path + ", 0, SEEK_END)", Libc.errno());
        }
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }
}
