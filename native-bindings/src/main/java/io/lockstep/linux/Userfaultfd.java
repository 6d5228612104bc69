package io.lockstep.linux;

/**
 * A userfaultfd, of this process or got from another one by {@link Pidfd#getfd}; ioctl_userfaultfd(2), {@code
 * include/uapi/linux/userfaultfd.h}. Every operation acts on the address space of the process that created the descriptor. One thread
 * at a time.
 */
public final class Userfaultfd implements AutoCloseable {
    /** Pages may be write-protected. */
    public static final long FEATURE_PAGEFAULT_FLAG_WP = 1;
    /** Also hugetlbfs and shared memory. */
    public static final long FEATURE_WP_HUGETLBFS_SHMEM = 1 << 12;
    /** Also pages that were never populated. */
    public static final long FEATURE_WP_UNPOPULATED = 1 << 13;
    /** The kernel resolves a write fault by itself: nobody ever waits for the holder of the descriptor. Linux 6.7. */
    public static final long FEATURE_WP_ASYNC = 1 << 15;
    /** What tracking from outside needs. */
    public static final long FEATURES_ASYNC_TRACKING =
            FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_HUGETLBFS_SHMEM | FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC;

    /** userfaultfd(2)'s flag: only faults of user mode, which needs no privilege. */
    public static final int UFFD_USER_MODE_ONLY = 1;

    private static final long SYS_USERFAULTFD = 323;
    private static final long UFFD_API = 0xAA;
    private static final long UFFDIO_API = 0xC018AA3FL;
    private static final long UFFDIO_REGISTER = 0xC020AA00L;
    private static final long UFFDIO_UNREGISTER = 0x8010AA01L;
    private static final long UFFDIO_WRITEPROTECT = 0xC018AA06L;
    private static final long UFFDIO_REGISTER_MODE_WP = 2;

    private final int fd;
    private final NativeBlock argument = new NativeBlock(32);

    /** Takes the descriptor over. */
    public Userfaultfd(int fd) {
        this.fd = fd;
    }

    /** One of this process, for user mode only. */
    public static Userfaultfd create() throws LinuxException {
        // SAFETY: no memory is passed.
        long fd = Libc.syscall(SYS_USERFAULTFD, Libc.O_CLOEXEC | Libc.O_NONBLOCK | UFFD_USER_MODE_ONLY, 0, 0, 0, 0, 0);
        if (fd < 0) {
            throw new LinuxException("userfaultfd(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)", Libc.errno());
        }
        return new Userfaultfd((int) fd);
    }

    /** The descriptor's number in this process. */
    public int fd() {
        return fd;
    }

    /** Agrees on the features with the kernel; once per descriptor. */
    public void enable(long features) throws LinuxException {
        argument.buffer().putLong(0, UFFD_API).putLong(8, features).putLong(16, 0);
        // SAFETY: struct uffdio_api is 24 bytes of the 32-byte argument block, which this object holds.
        if (Libc.ioctl(fd, UFFDIO_API, argument.address()) != 0) {
            throw new LinuxException("ioctl(UFFDIO_API, features 0x" + Long.toHexString(features) + ")", Libc.errno());
        }
    }

    /**
     * Watches writes to a range of mappings; doing so again changes nothing.
     *
     * @throws LinuxException EBUSY if another userfaultfd watches part of it
     */
    public void registerWriteProtect(long start, long length) throws LinuxException {
        argument.buffer()
                .putLong(0, start)
                .putLong(8, length)
                .putLong(16, UFFDIO_REGISTER_MODE_WP)
                .putLong(24, 0);
        // SAFETY: struct uffdio_register is the whole 32-byte argument block; start and length are only looked up by
        // the kernel.
        if (Libc.ioctl(fd, UFFDIO_REGISTER, argument.address()) != 0) {
            throw new LinuxException("ioctl(UFFDIO_REGISTER, " + range(start, length) + ")", Libc.errno());
        }
    }

    /**
     * Lifts the protection of watched pages, as the first write to each would: PAGEMAP_SCAN reports them as written.
     *
     * @throws LinuxException EAGAIN while the address space changes: some are protected still; ENOENT if part of the range is not watched
     */
    public void liftWriteProtect(long start, long length) throws LinuxException {
        argument.buffer().putLong(0, start).putLong(8, length).putLong(16, 0);
        // SAFETY: struct uffdio_writeprotect is 24 bytes of the 32-byte argument block, which this object holds.
        if (Libc.ioctl(fd, UFFDIO_WRITEPROTECT, argument.address()) != 0) {
            throw new LinuxException("ioctl(UFFDIO_WRITEPROTECT, " + range(start, length) + ")", Libc.errno());
        }
    }

    /** Stops watching a range and lifts its protection; a range that is not watched stays as it is. */
    public void unregister(long start, long length) throws LinuxException {
        argument.buffer().putLong(0, start).putLong(8, length);
        // SAFETY: struct uffdio_range is 16 bytes of the 32-byte argument block, which this object holds.
        if (Libc.ioctl(fd, UFFDIO_UNREGISTER, argument.address()) != 0) {
            throw new LinuxException("ioctl(UFFDIO_UNREGISTER, " + range(start, length) + ")", Libc.errno());
        }
    }

    /** Closes this process's descriptor; the watching ends only with the last one. */
    @Override
    public void close() {
        Descriptors.close(fd);
    }

    private static String range(long start, long length) {
        return "0x" + Long.toHexString(start) + ", length 0x" + Long.toHexString(length);
    }
}
