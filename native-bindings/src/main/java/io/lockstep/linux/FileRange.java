package io.lockstep.linux;

import java.nio.file.Path;

/** Reads and writes of an open file at given places, from raw addresses, and its holes. Any thread, but for {@link #close()}. */
public final class FileRange implements AutoCloseable {
    private static final int FALLOC_FL_KEEP_SIZE = 1;
    private static final int FALLOC_FL_PUNCH_HOLE = 2;
    private static final int FALLOC_FL_ZERO_RANGE = 16;
    private static final int SEEK_END = 2;
    private static final int SEEK_DATA = 3;
    private static final int SEEK_HOLE = 4;
    private static final int ENXIO = 6;

    private final String path;
    private final int fd;

    private FileRange(String path, int fd) {
        this.path = path;
        this.fd = fd;
    }

    /** Opens an existing file or device; never waits, not even for the writer of a pipe, which cannot be read at given places. */
    public static FileRange open(Path path, boolean writable) throws LinuxException {
        int flags = (writable ? Libc.O_RDWR : Libc.O_RDONLY) | Libc.O_NONBLOCK;
        return new FileRange(path.toString(), Descriptors.open(path.toString(), flags, 0));
    }

    /** Opens a file for reading and writing and gives it this length; a new one gets mode 0600 and reads as zeros. */
    public static FileRange create(Path path, long lengthBytes) throws LinuxException {
        int fd = Descriptors.open(path.toString(), Libc.O_RDWR | Libc.O_CREAT, 0600);
        // SAFETY: no memory is passed.
        if (Libc.ftruncate(fd, lengthBytes) != 0) {
            int errno = Libc.errno();
            Descriptors.close(fd);
            throw new LinuxException("ftruncate(" + path + ", " + lengthBytes + ")", errno);
        }
        return new FileRange(path.toString(), fd);
    }

    /** Takes an open descriptor over; the name is for messages. */
    public static FileRange of(int fd, String name) {
        return new FileRange(name, fd);
    }

    /** The descriptor. */
    public int fd() {
        return fd;
    }

    /**
     * Reads up to the file's end.
     *
     * @param address memory of this process, length bytes long
     * @return bytes read, fewer than length only at the file's end
     */
    public long read(long address, long length, long offset) throws LinuxException {
        long done = 0;
        while (done < length) {
            // SAFETY: the caller vouches for address and length; we never pass what lies beyond.
            long count = Libc.pread(fd, address + done, length - done, offset + done);
            if (count == 0) {
                break;
            }
            done += checked(count, "pread", length, offset);
        }
        return done;
    }

    /** Writes all of it; address is memory of this process, length bytes long. */
    public void write(long address, long length, long offset) throws LinuxException {
        long done = 0;
        while (done < length) {
            // SAFETY: the caller vouches for address and length; we never pass what lies beyond.
            done += checked(Libc.pwrite(fd, address + done, length - done, offset + done), "pwrite", length, offset);
        }
    }

    /** Takes the memory or disk space for a part of the file at once; what it held stays, new parts read as zeros. */
    public void reserve(long offset, long length) throws LinuxException {
        // SAFETY: no memory is passed.
        while (Libc.fallocate(fd, 0, offset, length) != 0) {
            int errno = Libc.errno();
            if (errno != Errno.EINTR) {
                throw new LinuxException("fallocate(" + path + ", " + offset + ", " + length + ")", errno);
            }
        }
    }

    /** Makes a part of the file a hole, which reads as zeros and takes no memory. */
    public void punchHole(long offset, long length) throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) != 0) {
            throw new LinuxException(
                    "fallocate(" + path + ", PUNCH_HOLE, " + offset + ", " + length + ")", Libc.errno());
        }
    }

    /** Lets a part of the file read as zeros and keep its space, or take it; not every file system can, tmpfs cannot. */
    public void zero(long offset, long length) throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length) != 0) {
            throw new LinuxException(
                    "fallocate(" + path + ", ZERO_RANGE, " + offset + ", " + length + ")", Libc.errno());
        }
    }

    /** First place at or after offset that is no hole; the file's length if there is none. Moves the file's shared position. */
    public long nextData(long offset) throws LinuxException {
        // SAFETY: no memory is passed.
        long found = Libc.lseek(fd, offset, SEEK_DATA);
        if (found < 0) {
            int errno = Libc.errno();
            if (errno == ENXIO) {
                return lengthBytes();
            }
            throw new LinuxException("lseek(" + path + ", " + offset + ", SEEK_DATA)", errno);
        }
        return found;
    }

    /** First place at or after offset that is a hole; the file's length if there is none. Moves the file's shared position. */
    public long nextHole(long offset) throws LinuxException {
        // SAFETY: no memory is passed.
        long found = Libc.lseek(fd, offset, SEEK_HOLE);
        if (found < 0) {
            int errno = Libc.errno();
            if (errno == ENXIO) {
                return lengthBytes();
            }
            throw new LinuxException("lseek(" + path + ", " + offset + ", SEEK_HOLE)", errno);
        }
        return found;
    }

    /** The file's length. Moves the file's shared position. */
    public long lengthBytes() throws LinuxException {
        // SAFETY: no memory is passed.
        long length = Libc.lseek(fd, 0, SEEK_END);
        if (length < 0) {
            throw new LinuxException("lseek(" + path + ", SEEK_END)", Libc.errno());
        }
        return length;
    }

    /** Returns when the content is on the disk; fdatasync(2). */
    public void sync() throws LinuxException {
        // SAFETY: no memory is passed.
        if (Libc.fdatasync(fd) != 0) {
            throw new LinuxException("fdatasync(" + path + ")", Libc.errno());
        }
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }

    private long checked(long count, String call, long length, long offset) throws LinuxException {
        if (count > 0) {
            return count;
        }
        int errno = count == 0 ? Errno.EIO : Libc.errno();
        if (errno == Errno.EINTR) {
            return 0;
        }
        throw new LinuxException(call + "(" + path + ", " + length + " bytes at " + offset + ")", errno);
    }
}
