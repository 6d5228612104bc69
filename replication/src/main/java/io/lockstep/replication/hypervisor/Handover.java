package io.lockstep.replication.hypervisor;

import io.lockstep.linux.FrozenThread;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * The last held save of a planned move: QEMU's main thread is held at the close of the pipe, with the whole state written and the VM not
 * started again. It takes the place of {@link HeldSave#finish}. Invariant: unless {@link #kill} is called, the VM runs on, also if
 * this process dies: the kernel then lets the held thread go. All calls from one thread, the one that began the save.
 *
 * <pre>
 *   save.begin(), awaitBoundary(), scan and copy
 *   freeze(into)                    the state is whole; QEMU is held before vm_start()
 *   kill()                          the peer has it and is ready: this QEMU will never run the VM again
 *   awaitEnd()                      its files, locks and memory are free
 *   or release()                    the VM runs on here
 * </pre>
 */
public final class Handover implements AutoCloseable {
    private static final int SIGKILL = 9;

    private final HeldSave save;
    private final Pidfd process;
    private final FrozenThread thread;
    private boolean frozen;

    private Handover(HeldSave save, Pidfd process, FrozenThread thread) {
        this.save = save;
        this.process = process;
        this.thread = thread;
    }

    /**
     * Attaches to QEMU's main thread, which runs on. Best before the save begins.
     *
     * @throws LockstepException {@code ptrace-refused}
     */
    public static Handover attach(HeldSave save, Pidfd process) throws LockstepException {
        try {
            return new Handover(save, process, FrozenThread.seize(process.pid()));
        } catch (LinuxException e) {
            throw new LockstepException(
                    "ptrace-refused",
                    "Cannot attach to QEMU (pid " + process.pid() + "): " + e.getMessage()
                            + ". No debugger may be attached to it, and the agent must be root or have CAP_SYS_PTRACE.",
                    e);
        }
    }

    /**
     * After the boundary: lets QEMU write the whole state, reads it, and holds QEMU.
     *
     * @param into a direct buffer; filled from its position on, and its limit set behind the state
     * @throws LockstepException {@code freeze-failed}; the VM runs on
     */
    public void freeze(ByteBuffer into, long timeoutNs) throws LockstepException {
        int start = into.position();
        try {
            // Stopped first: with room in the pipe QEMU would be through the close, and the VM running, before we hold
            // it.
            thread.stop(timeoutNs);
            save.widen();
            thread.runToClose(save.pipeTarget(), timeoutNs);
            frozen = true;
        } catch (IOException e) {
            close();
            throw new LockstepException(
                    "freeze-failed", "QEMU (pid " + process.pid() + ") could not be held: " + e.getMessage() + ".", e);
        }
        boolean whole = save.drain(into);
        into.limit(into.position()).position(start);
        if (!whole) {
            close();
            throw new LockstepException(
                    "freeze-failed", "The device state is larger than the buffer of " + into.capacity() + " bytes.");
        }
    }

    /** Whether QEMU is held. */
    public boolean frozen() {
        return frozen;
    }

    /**
     * Lets the VM run on here, and waits until it does. What {@link #freeze} read is a whole state all the same.
     *
     * @throws LockstepException {@code release-failed}
     */
    public void release(long timeoutNs) throws LockstepException {
        letGo();
        // Nothing is left in the pipe, and QEMU starts the VM without waiting for us: VOID is what is expected.
        HeldSave.Outcome outcome = save.finish(ByteBuffer.allocateDirect(1), timeoutNs);
        if (outcome != HeldSave.Outcome.VOID && outcome != HeldSave.Outcome.COMPLETE) {
            throw new LockstepException(
                    "release-failed",
                    "QEMU (pid " + process.pid() + ") was let go, but its save ended as " + outcome + ".");
        }
        save.afterResume();
    }

    /**
     * Kills the held QEMU; the VM never runs here again from when this returns: its processors are stopped, and the one thread that would
     * start them leaves the kernel no more. The kernel frees its memory meanwhile, which may take longer than the whole move.
     */
    public void kill() throws LockstepException {
        if (!frozen) {
            throw new LockstepException("not-frozen", "QEMU (pid " + process.pid() + ") is not held: it is not ended.");
        }
        try {
            process.sendSignal(SIGKILL);
            letGo();
        } catch (LinuxException e) {
            throw new LockstepException(
                    "kill-failed", "Cannot end QEMU (pid " + process.pid() + "): " + e.getMessage() + ".", e);
        }
    }

    /**
     * After the kill: waits until the process is gone, with all that it had open.
     *
     * @throws LockstepException {@code kill-failed}
     */
    public void awaitEnd(long timeoutNs) throws LockstepException {
        try {
            if (!process.awaitExit(timeoutNs)) {
                throw new LockstepException(
                        "kill-failed",
                        "QEMU (pid " + process.pid() + ") does not end " + timeoutNs / 1_000_000
                                + " ms after SIGKILL: a disk or device hangs. Its vCPUs are stopped for good.");
            }
        } catch (LinuxException e) {
            throw new LockstepException(
                    "kill-failed", "Cannot wait for QEMU (pid " + process.pid() + "): " + e.getMessage() + ".", e);
        }
    }

    /** Lets the VM run on, if QEMU was not ended. */
    @Override
    public void close() {
        letGo();
    }

    private void letGo() {
        frozen = false;
        thread.close();
    }
}
