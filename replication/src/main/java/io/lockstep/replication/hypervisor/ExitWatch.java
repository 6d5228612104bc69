package io.lockstep.replication.hypervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.Poll;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;

/** Tells at any time, without an allocation, whether a process has exited. Thread-safe. */
final class ExitWatch implements AutoCloseable {
    private final Pidfd pidfd;
    private final Poll poll = new Poll(1);
    private boolean closed;

    private ExitWatch(Pidfd pidfd) {
        this.pidfd = pidfd;
        poll.set(0, pidfd.fd(), Poll.IN);
    }

    /** @throws LockstepException {@code standby-failed} if it has exited */
    static ExitWatch open(ProcessIdentity process) throws LockstepException {
        try {
            Pidfd pidfd = Pidfd.open(process.pid());
            if (process.alive()) {
                return new ExitWatch(pidfd);
            }
            pidfd.close();
            throw new LockstepException("standby-failed", "The standby QEMU (pid " + process.pid() + ") has ended.");
        } catch (LinuxException e) {
            throw new LockstepException(
                    "standby-failed",
                    "The standby QEMU (pid " + process.pid() + ") cannot be watched: " + e.getMessage() + ".",
                    e);
        }
    }

    /** Also true once closed. */
    synchronized boolean exited() {
        try {
            return closed || poll.await(0) > 0;
        } catch (LinuxException e) {
            throw new IllegalStateException("poll of a pidfd", e);
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            pidfd.close();
        }
    }
}
