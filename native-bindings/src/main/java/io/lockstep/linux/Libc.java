package io.lockstep.linux;

import com.sun.jna.Native;
import com.sun.jna.Platform;

/**
 * The C library's functions through JNA direct mapping: primitives and raw addresses only, so that a call allocates nothing. Functions
 * that C declares with variable arguments are mapped with as many fixed ones as Lockstep passes: on x86-64 both are called alike.
 */
final class Libc {
    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0x40;
    static final int O_NONBLOCK = 0x800;
    static final int O_CLOEXEC = 0x80000;

    static {
        Native.register(Libc.class, Platform.C_LIBRARY_NAME);
    }

    private Libc() {}

    static native long syscall(long number, long a, long b, long c, long d, long e, long f);

    static native int ioctl(int fd, long request, long argument);

    static native long ptrace(long request, long pid, long address, long data);

    static native int waitpid(int pid, long status, int options);

    static native int open(String path, int flags, int mode);

    static native int close(int fd);

    static native long read(int fd, long address, long length);

    static native long write(int fd, long address, long length);

    static native long pread(int fd, long address, long length, long offset);

    static native long pwrite(int fd, long address, long length, long offset);

    static native long lseek(int fd, long offset, int whence);

    static native int ftruncate(int fd, long length);

    static native int fallocate(int fd, int mode, long offset, long length);

    static native int fcntl(int fd, int command, long argument);

    static native int fdatasync(int fd);

    static native int pipe2(long descriptors, int flags);

    static native int ppoll(long pollfds, long count, long timeout, long signalMask);

    static native long mmap(long address, long length, int protection, int flags, int fd, long offset);

    static native int munmap(long address, long length);

    static native int madvise(long address, long length, int advice);

    static native int socket(int domain, int type, int protocol);

    static native int connect(int fd, long address, int length);

    static native int socketpair(int domain, int type, int protocol, long pair);

    static native int setsockopt(int fd, int level, int option, long value, int length);

    static native int bind(int fd, long address, int length);

    static native int listen(int fd, int backlog);

    static native long sendto(int fd, long address, long length, int flags, long to, int toLength);

    static native long recv(int fd, long address, long length, int flags);

    static native long sendmsg(int fd, long message, int flags);

    static native long process_vm_readv(
            int pid, long local, long localCount, long remote, long remoteCount, long flags);

    static native long process_vm_writev(
            int pid, long local, long localCount, long remote, long remoteCount, long flags);

    static native int sched_setaffinity(int pid, long size, long mask);

    static native int sched_getaffinity(int pid, long size, long mask);

    static native int getpriority(int which, int who);

    static native int setpriority(int which, int who, int priority);

    /** Why the last call on this thread failed; to be asked at once, before anything else goes through JNA on this thread. */
    static int errno() {
        return Native.getLastError();
    }
}
