package io.lockstep.linux;

import java.nio.ByteBuffer;

/**
 * Copies memory from and to another process in batches; process_vm_readv(2). Allocates nothing per call. One thread at a time.
 */
public final class RemoteMemory {
    /** Most ranges of one system call: {@code UIO_MAXIOV}. */
    public static final int RANGES_MAX = 1024;

    private static final int IOVEC_BYTES = 16;

    private final long pid;
    private final NativeBlock remote = new NativeBlock(RANGES_MAX * IOVEC_BYTES);
    private final NativeBlock local = new NativeBlock(IOVEC_BYTES);
    private long localAddress;
    private long queuedBytes;
    private int queued;

    /** @param pid the process; needs the rights of ptrace(2) over it */
    public RemoteMemory(long pid) {
        this.pid = pid;
    }

    /** Reads one range. */
    public void read(long remoteAddress, long localAddress, long length) throws LinuxException {
        begin(localAddress);
        add(remoteAddress, length);
        finish();
    }

    /**
     * Starts a batch that is read to consecutive addresses.
     *
     * @param localAddress memory of this process, as long as all the ranges to come and valid until {@link #finish()}
     */
    public void begin(long localAddress) {
        this.localAddress = localAddress;
        queued = 0;
        queuedBytes = 0;
    }

    /** Adds a range to the batch; may read what was added before. */
    public void add(long remoteAddress, long length) throws LinuxException {
        if (queued == RANGES_MAX) {
            finish();
        }
        remote.buffer().putLong(queued * IOVEC_BYTES, remoteAddress).putLong(queued * IOVEC_BYTES + 8, length);
        queued++;
        queuedBytes += length;
    }

    /** Reads all that was added. A further {@link #add} goes on behind it. */
    public void finish() throws LinuxException {
        transfer(true);
    }

    /** Writes one range, past the protection of nothing: the process must be able to write it itself. */
    public void write(long remoteAddress, long localAddress, long length) throws LinuxException {
        begin(localAddress);
        add(remoteAddress, length);
        transfer(false);
    }

    private void transfer(boolean read) throws LinuxException {
        int first = 0;
        while (queuedBytes > 0) {
            local.buffer().putLong(0, localAddress).putLong(8, queuedBytes);
            long vectors = remote.address() + (long) first * IOVEC_BYTES;
            // SAFETY: the one local range is the caller's memory, vouched for in begin(); the remote vector lies in our
            // block with
            // queued - first entries left; remote addresses are checked by the kernel.
            long done = read
                    ? Libc.process_vm_readv((int) pid, local.address(), 1, vectors, queued - first, 0)
                    : Libc.process_vm_writev((int) pid, local.address(), 1, vectors, queued - first, 0);
            if (done <= 0) {
                int errno = done == 0 ? Errno.EFAULT : Libc.errno();
                throw failure(read, first, errno);
            }
            localAddress += done;
            queuedBytes -= done;
            first = advance(first, done);
        }
        queued = 0;
    }

    /** Drops what was transferred off the front of the vector: the kernel stops short at the first page that it cannot reach. */
    private int advance(int first, long done) {
        ByteBuffer vectors = remote.buffer();
        int i = first;
        long left = done;
        while (left > 0) {
            long length = vectors.getLong(i * IOVEC_BYTES + 8);
            if (length > left) {
                vectors.putLong(i * IOVEC_BYTES, vectors.getLong(i * IOVEC_BYTES) + left);
                vectors.putLong(i * IOVEC_BYTES + 8, length - left);
                return i;
            }
            left -= length;
            i++;
        }
        return i;
    }

    private LinuxException failure(boolean read, int first, int errno) {
        long address = remote.buffer().getLong(first * IOVEC_BYTES);
        long length = remote.buffer().getLong(first * IOVEC_BYTES + 8);
        queued = 0;
        queuedBytes = 0;
        return new LinuxException(
                (read ? "process_vm_readv(pid " : "process_vm_writev(pid ") + pid + ", 0x" + Long.toHexString(address)
                        + ", " + length + ")",
                errno);
    }
}
