package io.lockstep.linux;

/** A handle on one process that no recycled pid can change; pidfd_open(2). Any thread, but for {@link #close()}. */
public final class Pidfd implements AutoCloseable {
    private static final long SYS_PIDFD_SEND_SIGNAL = 424;
    private static final long SYS_PIDFD_OPEN = 434;
    private static final long SYS_PIDFD_GETFD = 438;

    private final long pid;
    private final int fd;

    private Pidfd(long pid, int fd) {
        this.pid = pid;
        this.fd = fd;
    }

    /** @throws LinuxException ESRCH if there is no such process */
    public static Pidfd open(long pid) throws LinuxException {
        // SAFETY: no memory is passed.
        long fd = Libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0, 0, 0);
        if (fd < 0) {
            throw new LinuxException("pidfd_open(" + pid + ")", Libc.errno());
        }
        return new Pidfd(pid, (int) fd);
    }

    /** The process. */
    public long pid() {
        return pid;
    }

    /** Readable, for {@link Poll}, once the process has exited. */
    public int fd() {
        return fd;
    }

    /** A descriptor of this process for the file that the process has open as targetFd; needs the rights of ptrace(2). */
    public int getfd(int targetFd) throws LinuxException {
        // SAFETY: no memory is passed.
        long copy = Libc.syscall(SYS_PIDFD_GETFD, fd, targetFd, 0, 0, 0, 0);
        if (copy < 0) {
            throw new LinuxException("pidfd_getfd(pid " + pid + ", fd " + targetFd + ")", Libc.errno());
        }
        return (int) copy;
    }

    /** Waits for the process's exit. */
    public boolean awaitExit(long timeoutNs) throws LinuxException {
        Poll poll = new Poll(1);
        poll.set(0, fd, Poll.IN);
        return poll.await(timeoutNs) > 0;
    }

    /** @throws LinuxException ESRCH if it has exited and was reaped */
    public void sendSignal(int signal) throws LinuxException {
        // SAFETY: the siginfo address is null, which the call allows; no other memory is passed.
        if (Libc.syscall(SYS_PIDFD_SEND_SIGNAL, fd, signal, 0, 0, 0, 0) != 0) {
            throw new LinuxException("pidfd_send_signal(pid " + pid + ", signal " + signal + ")", Libc.errno());
        }
    }

    @Override
    public void close() {
        Descriptors.close(fd);
    }
}
