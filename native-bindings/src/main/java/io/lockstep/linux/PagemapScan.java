package io.lockstep.linux;

/**
 * Ranges of another process's pages by category, with or without write-protecting them again; ioctl {@code PAGEMAP_SCAN} of Linux 6.7,
 * {@code Documentation/admin-guide/mm/pagemap.rst}. Allocates nothing per scan. One thread at a time; several objects may scan
 * different ranges of one process at once.
 *
 * <pre>
 * output vector, one entry:  0       8       16           24
 *                            | start |  end  | categories |    addresses in the process, end exclusive
 * </pre>
 */
public final class PagemapScan implements AutoCloseable {
    /** Bytes of one entry of the output vector. */
    public static final int ENTRY_BYTES = 24;

    /** Written since it was last protected. */
    public static final long PAGE_IS_WRITTEN = 1 << 1;
    /** File-backed or shared. */
    public static final long PAGE_IS_FILE = 1 << 2;
    /** In memory and mapped. */
    public static final long PAGE_IS_PRESENT = 1 << 3;
    /** Swapped out. */
    public static final long PAGE_IS_SWAPPED = 1 << 4;
    /** In a huge page that is mapped as one. */
    public static final long PAGE_IS_HUGE = 1 << 6;

    private static final long PAGEMAP_SCAN = 0xC0606610L;
    private static final long PM_SCAN_WP_MATCHING = 1;
    private static final long PM_SCAN_CHECK_WPASYNC = 2;
    private static final int ARGUMENT_BYTES = 96;
    private static final int WALK_END = 32;

    private final long pid;
    private final int fd;
    private final NativeBlock argument = new NativeBlock(ARGUMENT_BYTES);

    /** @param pid the process to look at; needs the rights of ptrace(2) over it */
    public PagemapScan(long pid) throws LinuxException {
        this.pid = pid;
        this.fd = openPagemap(pid);
    }

    /** For writing, since scans protect pages; but the file's mode lets only root do so, and the kernel asks for no more than reading. */
    private static int openPagemap(long pid) throws LinuxException {
        String path = "/proc/" + pid + "/pagemap";
        try {
            return Descriptors.open(path, Libc.O_RDWR, 0);
        } catch (LinuxException e) {
            if (e.errno() != Errno.EACCES) {
                throw e;
            }
            return Descriptors.open(path, Libc.O_RDONLY, 0);
        }
    }

    /**
     * Lists written ranges in a part of the process's memory, until its end or until the vector is full; {@link #walkEnd()} then tells
     * where to go on. Every page of the part must be watched by an asynchronous userfaultfd.
     *
     * @param protect whether to write-protect what is listed again, atomically per page
     * @param vector address of entryCount × {@link #ENTRY_BYTES} bytes of this process's memory, valid during the call
     * @return entries filled
     */
    public int written(long start, long end, boolean protect, long vector, int entryCount) throws LinuxException {
        long flags = PM_SCAN_CHECK_WPASYNC | (protect ? PM_SCAN_WP_MATCHING : 0);
        return scan(flags, start, end, 0, PAGE_IS_WRITTEN, vector, entryCount);
    }

    /** Lists ranges that have all of the given categories, and of the inverted ones none; as {@link #written} without protecting. */
    public int having(long categories, long inverted, long start, long end, long vector, int entryCount)
            throws LinuxException {
        return scan(0, start, end, inverted, categories | inverted, vector, entryCount);
    }

    /** Where the last scan stopped: its end, or the first address that it has not looked at. */
    public long walkEnd() {
        return argument.buffer().getLong(WALK_END);
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }

    private int scan(long flags, long start, long end, long inverted, long mask, long vector, int entryCount)
            throws LinuxException {
        argument.buffer()
                .putLong(0, ARGUMENT_BYTES)
                .putLong(8, flags)
                .putLong(16, start)
                .putLong(24, end)
                .putLong(WALK_END, 0)
                .putLong(40, vector)
                .putLong(48, entryCount)
                .putLong(56, 0)
                .putLong(64, inverted)
                .putLong(72, mask)
                .putLong(80, 0)
                .putLong(88, mask);
        int count;
        int errno;
        do {
            // SAFETY: struct pm_scan_arg is the 96-byte argument block, which this object holds; the caller vouches for
            // the vector,
            // of which the kernel writes at most entryCount entries. A repeated call starts over: an interrupted one
            // found nothing.
            count = Libc.ioctl(fd, PAGEMAP_SCAN, argument.address());
            errno = count < 0 ? Libc.errno() : 0;
        } while (errno == Errno.EINTR);
        if (count < 0) {
            throw new LinuxException(
                    "ioctl(/proc/" + pid + "/pagemap, PAGEMAP_SCAN, 0x" + Long.toHexString(start) + "..0x"
                            + Long.toHexString(end) + ", flags " + flags + ", entries " + entryCount + ")",
                    errno);
        }
        return count;
    }
}
