package io.lockstep.linux;

import java.io.IOException;

/**
 * Another process's main thread, held just before it closes a pipe; ptrace(2), x86-64. For a process that writes to a pipe and then does
 * something that must not happen yet. All calls from one thread. If that thread or this process dies, the kernel lets the held thread
 * run on by itself.
 */
public final class FrozenThread implements AutoCloseable {
    private static final long SYS_CLOSE = 3;
    private static final long RELEASE_TIMEOUT_NS = 5_000_000_000L;

    private final long pid;
    private final Tracee tracee;
    private int pendingSignal;
    private boolean held;

    private FrozenThread(long pid, Tracee tracee) {
        this.pid = pid;
        this.tracee = tracee;
    }

    /** Attaches to the main thread, which runs on until {@link #runToClose}. */
    public static FrozenThread seize(long pid) throws LinuxException {
        return new FrozenThread(pid, Tracee.seize(pid));
    }

    /** Stops the thread where it is, also in the middle of a write that waits; {@link #runToClose} lets it go on. */
    public void stop(long timeoutNs) throws LinuxException {
        tracee.interrupt();
        Tracee.Stop stop = tracee.await(System.nanoTime() + timeoutNs);
        pendingSignal = stop == Tracee.Stop.SIGNAL ? tracee.signal() : 0;
    }

    /**
     * Lets the thread run until it is about to close a pipe, and holds it there. Somebody else must drain the pipe meanwhile, unless all
     * fits in. What is to happen only once the thread cannot pass the close unseen belongs between {@link #stop} and this.
     *
     * @param pipeTarget as {@link Pipe#target()} gives it
     * @throws LinuxException ETIMEDOUT if it did not come there in time (it then runs on after {@link #detach()}), ESRCH if it ended
     */
    public void runToClose(String pipeTarget, long timeoutNs) throws IOException {
        long deadlineNs = System.nanoTime() + timeoutNs;
        if (!tracee.stopped()) {
            stop(timeoutNs);
        }
        while (true) {
            tracee.runToSyscall(pendingSignal);
            Tracee.Stop stop = tracee.await(deadlineNs);
            pendingSignal = stop == Tracee.Stop.SIGNAL ? tracee.signal() : 0;
            if (stop == Tracee.Stop.SYSCALL_ENTRY
                    && tracee.syscallNumber() == SYS_CLOSE
                    && Descriptors.target(pid, (int) tracee.syscallArgument(0)).equals(pipeTarget)) {
                held = true;
                return;
            }
        }
    }

    /** Whether the thread is held at the close. */
    public boolean held() {
        return held;
    }

    /** Lets the thread run on; nothing if it ended or was let go before. */
    public void detach() throws LinuxException {
        held = false;
        if (!tracee.attached()) {
            return;
        }
        if (!tracee.stopped()) {
            tracee.interrupt();
            pendingSignal =
                    tracee.await(System.nanoTime() + RELEASE_TIMEOUT_NS) == Tracee.Stop.SIGNAL ? tracee.signal() : 0;
        }
        tracee.detach(pendingSignal);
    }

    /** As {@link #detach()}; a thread that cannot be let go has ended. */
    @Override
    public void close() {
        try {
            detach();
        } catch (LinuxException e) {
            // ESRCH: killed while held, which is the expected end of a planned move.
            held = false;
        }
    }
}
