package io.lockstep.linux;

import java.io.IOException;

/** A system call failed. */
public final class LinuxException extends IOException {
    private final int errno;

    /**
     * @param call what was tried, with its values, e.g. {@code process_vm_readv(pid 42, 0x7f0000000000, 4096)}
     * @param errno the kernel's error number, as in errno(3)
     */
    public LinuxException(String call, int errno) {
        super(call + ": " + Errno.name(errno));
        this.errno = errno;
    }

    /** The kernel's error number, as in errno(3). */
    public int errno() {
        return errno;
    }
}
