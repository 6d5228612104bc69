package io.lockstep.linux;

/** Another process's transparent huge pages; madvise(2), process_madvise(2). One thread at a time. */
public final class HugePages {
    private static final long SYS_PROCESS_MADVISE = 440;
    private static final long MADV_COLLAPSE = 25;

    private final NativeBlock range = new NativeBlock(16);

    /**
     * Puts small pages together again, whatever the system's settings say of huge pages. The process waits for it when it writes there meanwhile;
     * some 0.5 ms for 2 MiB, more where the kernel must first make room for it.
     *
     * @param start at a multiple of the huge page's size, as is the length
     * @throws LinuxException EINVAL if the memory cannot have huge pages, a page of it is protected by userfaultfd(2), or the kernel is older than 6.1; EAGAIN or EBUSY if
     *     somebody uses one just now; ENOMEM if there is no room; EPERM without CAP_SYS_NICE; ESRCH if the process has ended
     */
    public void collapse(Pidfd process, long start, long length) throws LinuxException {
        range.buffer().putLong(0, start).putLong(8, length);
        // SAFETY: one struct iovec of 16 bytes; the kernel only looks up what it names, in the other process.
        if (Libc.syscall(SYS_PROCESS_MADVISE, process.fd(), range.address(), 1, MADV_COLLAPSE, 0, 0) < 0) {
            throw new LinuxException(
                    "process_madvise(pid " + process.pid() + ", 0x" + Long.toHexString(start) + ", length 0x"
                            + Long.toHexString(length) + ", MADV_COLLAPSE)",
                    Libc.errno());
        }
    }
}
