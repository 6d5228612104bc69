package io.lockstep.replication.hypervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.Pipe;
import io.lockstep.linux.Poll;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import org.agrona.BufferUtil;

/**
 * The whole pause as one QMP command. Invariants:
 *
 * <ul>
 *   <li>No guest is left paused: if this process dies, or {@link #abort()} is called, at any instant, the pipe's only read end goes, the
 *       save fails with EPIPE, and QEMU starts the VM by itself.
 *   <li>From the boundary to {@link #finish} the VM stands still, or finish says {@link Outcome#VOID}.
 * </ul>
 *
 * <pre>
 *   begin()           xen-save-devices-state: QEMU stops the VM, drains and flushes the disks
 *   awaitBoundary()   first state in the pipe: nothing writes guest memory any more; QEMU blocks on the full pipe
 *   (caller)          scan, copy, cut the logs
 *   finish()          a larger pipe lets QEMU write the rest and start the VM
 *   afterResume()     outside of the pause: the pipe small again, and all of the next command but its last brace
 * </pre>
 *
 * QEMU's own word of when the VM stood still, and of when it was started, are the times in its events STOP and RESUME, which are read in any case.
 * They are the host's wall clock, which is compared with {@link System#nanoTime} outside of the pauses.
 *
 * A state of up to 32 KiB comes in one write at the end, so a pipe of one page holds QEMU. A larger one comes in pieces, and QEMU would
 * build all but the first only after the copy: so the pipe is as large as it may be for QEMU to block still on the smallest of the last
 * states. All calls from the capture thread, but for {@link #abort()}. Nothing is allocated per
 * save, but for three short-lived objects once a second, outside of the pause.
 */
public final class HeldSave implements AutoCloseable {
    /** What came of a save. The VM runs on after each but {@link #DIED} and {@link #HUNG}. */
    public enum Outcome {
        /** The state is whole, and the VM stood still until it was asked for. */
        COMPLETE,
        /** The VM ran on before it was asked to: the epoch does not count. */
        VOID,
        /** QEMU reported an error, or the save was aborted: the epoch does not count. Call {@link HeldSave#reopen}. */
        FAILED,
        /** The state is larger than the buffer: the epoch does not count. Call {@link HeldSave#reopen}. */
        TOO_LARGE,
        /** QEMU is gone. */
        DIED,
        /** QEMU did not answer in time. */
        HUNG
    }

    private static final int PAGE_BYTES = 4096;
    /** The most that an unprivileged process may ask for; /proc/sys/fs/pipe-max-size. */
    private static final int PIPE_BYTES_MAX = 1 << 20;
    /** A smaller one might fit into the pipe's one page: the smallest PCs have 8 KiB, a microvm without PCI 3.5 KiB. */
    private static final int STATE_BYTES_MIN = 2 * PAGE_BYTES;
    /** What must stay blocked: a page, and room for a state that is somewhat smaller than the smallest of the last ones. */
    private static final int HELD_BYTES_MIN = 4 * PAGE_BYTES;

    private static final int STATES_REMEMBERED = 16;
    /** Between QEMU's answer and the state already in the pipe nothing else waits; a slice bounds a state larger than the pipe. */
    private static final long DRAIN_SLICE_NS = 2_000_000;

    /** A process that ends closes its sockets some milliseconds before it counts as exited. */
    private static final long EXIT_TIMEOUT_NS = 1_000_000_000;

    /** The two clocks run alike, but somebody may set the wall clock: so often they are compared. */
    private static final long CLOCKS_NS = 1_000_000_000;

    private static final int CLOCK_COMPARISONS = 3;

    private static final int PIPE = 0;
    private static final int QMP = 1;
    private static final int PROCESS = 2;

    private final QmpConnection qmp;
    private final Pidfd process;
    private final Poll poll = new Poll(3);
    private final Poll replyPoll = new Poll(2);
    private final int[] lastStateBytes = new int[STATES_REMEMBERED];
    private int states;
    private Pipe pipe;
    private QmpConnection.AddedDescriptor added;
    private QmpCommand save;
    private int holdBytes = PAGE_BYTES;
    private volatile boolean aborted;
    private long beginNs;
    private long stoppedNs;
    private long boundaryNs;
    private long stateReadNs;
    private long resumedNs;
    /** What is to be added to the wall clock. */
    private long wallToNs;

    private long clocksNs;

    /**
     * Gives QEMU the write end of a new pipe, and takes back what an agent that was killed left there.
     *
     * @throws LockstepException {@code add-fd-refused}
     */
    public HeldSave(QmpConnection qmp, Pidfd process) throws LockstepException {
        this.qmp = qmp;
        this.process = process;
        qmp.removeStaleDescriptors();
        pipe = openPipe(process.pid());
        added = add();
        save = command();
        watch();
        compareClocks();
    }

    /**
     * Pauses the VM once, before anything relies on it, for the size of its device state.
     *
     * @param into a direct buffer for the state, which is not kept
     * @param timeoutNs for the boundary, and for QEMU to answer
     * @throws LockstepException {@code device-state-too-small}: it fits into the pipe, so QEMU would not wait for us
     */
    public void requireHoldable(ByteBuffer into, long timeoutNs) throws LockstepException {
        begin();
        if (!awaitBoundary(timeoutNs)) {
            abort();
        }
        Outcome outcome = finish(into, timeoutNs);
        if (outcome == Outcome.FAILED || outcome == Outcome.TOO_LARGE) {
            throw new LockstepException(
                    "device-state-failed",
                    "QEMU could not save its device state (" + outcome + "): " + qmp.errorText());
        }
        if (into.remaining() < STATE_BYTES_MIN) {
            throw new LockstepException(
                    "device-state-too-small",
                    "the VM's device state is " + into.remaining() + " bytes < " + STATE_BYTES_MIN
                            + ", too few for QEMU to be held while it writes them."
                            + " Use machine type q35 or pc, or give the VM more devices.");
        }
        afterResume();
    }

    /** Sends the command; the VM stops a moment later. */
    public void begin() throws LockstepException {
        beginNs = System.nanoTime();
        stoppedNs = 0;
        boundaryNs = 0;
        stateReadNs = 0;
        resumedNs = 0;
        qmp.send(save);
    }

    /**
     * Waits for the boundary. Events go to the connection's listener meanwhile.
     *
     * @return false if the time is up or the command has failed or QEMU is gone: {@link #abort()}, then {@link #finish} tells which
     */
    public boolean awaitBoundary(long timeoutNs) throws LockstepException {
        long deadlineNs = beginNs + timeoutNs;
        long nowNs = beginNs;
        do {
            await(poll, Math.max(0, deadlineNs - nowNs));
            nowNs = System.nanoTime();
            if ((poll.ready(PIPE) & Poll.IN) != 0 && !aborted) {
                boundaryNs = nowNs;
                return true;
            }
            if (poll.ready(QMP) != 0 && !receive()) {
                return false;
            }
            if (poll.ready(PROCESS) != 0 || qmp.reply() != QmpReply.NONE || aborted) {
                return false;
            }
        } while (nowNs < deadlineNs);
        return false;
    }

    /**
     * Lets the VM run on and reads the state.
     *
     * @param into a direct buffer; filled from its position on, and its limit set behind the state
     * @param timeoutNs for QEMU to answer
     */
    public Outcome finish(ByteBuffer into, long timeoutNs) throws LockstepException {
        if (!receive()) {
            return Outcome.DIED;
        }
        // RESUME is sent before the first vCPU runs: with no reply here, the VM has stood still until now.
        boolean early = qmp.reply() != QmpReply.NONE;
        if (!early && !aborted) {
            capacity(PIPE_BYTES_MAX);
        }
        long deadlineNs = System.nanoTime() + timeoutNs;
        int start = into.position();
        boolean fits = true;
        while (qmp.reply() == QmpReply.NONE) {
            await(replyPoll, DRAIN_SLICE_NS);
            long nowNs = System.nanoTime();
            if (replyPoll.ready(0) != 0) {
                if (!receive()) {
                    return Outcome.DIED;
                }
            } else if (replyPoll.ready(1) != 0) {
                return Outcome.DIED;
            } else if (fits && !drain(into)) {
                fits = false;
                abort();
            } else if (nowNs > deadlineNs) {
                return Outcome.HUNG;
            }
        }
        resumedNs = System.nanoTime();
        stoppedNs = moment(qmp.stoppedUs(), beginNs, boundaryNs);
        stateReadNs = moment(qmp.resumedUs(), boundaryNs, resumedNs);
        fits &= drain(into);
        into.limit(into.position()).position(start);
        if (!fits) {
            abort();
            return Outcome.TOO_LARGE;
        }
        if (qmp.reply() == QmpReply.ERROR || aborted) {
            return Outcome.FAILED;
        }
        if (into.hasRemaining()) {
            remember(into.remaining());
        }
        return early || boundaryNs == 0 ? Outcome.VOID : Outcome.COMPLETE;
    }

    /** To be called after each {@link #finish}, outside of the pause: makes the pipe small again, and announces the next save. */
    public void afterResume() throws LockstepException {
        if (!aborted) {
            capacity(holdBytes);
            announce();
        }
        if (System.nanoTime() - clocksNs > CLOCKS_NS) {
            compareClocks();
        }
    }

    /** Of a few comparisons the quickest counts: this thread may lose its processor in one. */
    private void compareClocks() {
        long quickestNs = Long.MAX_VALUE;
        for (int i = 0; i < CLOCK_COMPARISONS; i++) {
            long beforeNs = System.nanoTime();
            Instant wall = Instant.now();
            clocksNs = System.nanoTime();
            long tookNs = clocksNs - beforeNs;
            if (tookNs < quickestNs) {
                quickestNs = tookNs;
                wallToNs = beforeNs + tookNs / 2 - wall.getEpochSecond() * 1_000_000_000 - wall.getNano();
            }
        }
    }

    /** The time of an event as {@link System#nanoTime}, brought between what surely came before and after it; 0 if one of these is unknown. */
    private long moment(long wallUs, long afterNs, long beforeNs) {
        return wallUs == 0 || afterNs == 0 || beforeNs == 0
                ? 0
                : Math.min(Math.max(wallUs * 1_000 + wallToNs, afterNs), beforeNs);
    }

    /** Tells QEMU all of the command but its last brace: to be called before a {@link #begin} that other commands came before. */
    public void announce() throws LockstepException {
        qmp.announce(save);
    }

    /** Ends the save, wherever it is: QEMU starts the VM by itself. Any thread, at any time. */
    public void abort() {
        aborted = true;
        try {
            pipe.breakRead();
        } catch (LinuxException e) {
            // Without a descriptor to put in its place (EMFILE): closing does the same for QEMU.
            pipe.closeRead();
        }
    }

    /** Makes the saver usable again after an abort or failure; waits for QEMU's answer to the old save first. */
    public void reopen(long timeoutNs) throws LockstepException {
        long deadlineNs = System.nanoTime() + timeoutNs;
        abort();
        while (qmp.reply() == QmpReply.NONE && beginNs != 0 && System.nanoTime() < deadlineNs) {
            qmp.await(DRAIN_SLICE_NS);
            qmp.receive();
        }
        qmp.removeDescriptor(added);
        pipe.close();
        pipe = openPipe(process.pid());
        added = add();
        save = command();
        aborted = false;
        holdBytes = PAGE_BYTES;
        states = 0;
        watch();
    }

    /** When {@link #begin} sent the command; System.nanoTime. */
    public long beginNs() {
        return beginNs;
    }

    /**
     * When QEMU had stopped the vCPUs and its devices, before it drained and flushed the disks: the time of its event STOP ({@code do_vm_stop} in QEMU's
     * softmmu/cpus.c), to a microsecond. Known from {@link #finish} on; 0 if there was no such event, as of a VM that did not run before.
     */
    public long stoppedNs() {
        return stoppedNs;
    }

    /** When the boundary was seen: the first bytes of the device state, which QEMU writes once it has built up to 32 KiB of it; 0 if not yet. */
    public long boundaryNs() {
        return boundaryNs;
    }

    /**
     * When QEMU had written all of the device state and closed its end of the pipe, and began to start the VM: the time of its event RESUME ({@code
     * vm_prepare_start} in softmmu/cpus.c, called at the end of {@code qmp_xen_save_devices_state} in migration/savevm.c), to a microsecond. What it wrote
     * last may still be in the pipe: the VM does not wait for that. Known from {@link #finish} on; 0 if there was no such event.
     */
    public long stateReadNs() {
        return stateReadNs;
    }

    /** When QEMU's answer had come, which it sends once the vCPUs may run; 0 if not yet. */
    public long resumedNs() {
        return resumedNs;
    }

    /** For the planned move: the pipe as {@code /proc} names it. */
    String pipeTarget() throws IOException {
        return pipe.target();
    }

    /** For the planned move: room for the whole state, so that QEMU comes to its end while nobody reads. */
    void widen() throws LockstepException {
        capacity(PIPE_BYTES_MAX);
    }

    /** For the planned move: reads what is in the pipe. */
    boolean drain(ByteBuffer into) throws LockstepException {
        try {
            while (into.hasRemaining()) {
                // SAFETY: the direct buffer is the caller's and outlives the call; address() is that of byte 0.
                int count = pipe.read(BufferUtil.address(into) + into.position(), into.remaining());
                if (count <= 0) {
                    return true;
                }
                into.position(into.position() + count);
            }
            return aborted || pipe.available() == 0;
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    @Override
    public void close() {
        abort();
        try {
            if (qmp.reply() == QmpReply.NONE && beginNs != 0) {
                qmp.await(DRAIN_SLICE_NS);
                qmp.receive();
            }
            qmp.removeDescriptor(added);
        } catch (LockstepException e) {
            // QEMU has gone or closed the monitor: either way nothing of ours is left in it.
            added = new QmpConnection.AddedDescriptor(-1, -1);
        }
        pipe.close();
    }

    /** False if the connection has ended because QEMU has. */
    private boolean receive() throws LockstepException {
        try {
            qmp.receive();
            return true;
        } catch (LockstepException e) {
            try {
                if (e.code().equals("qmp-closed") && process.awaitExit(EXIT_TIMEOUT_NS)) {
                    return false;
                }
            } catch (LinuxException waiting) {
                e.addSuppressed(waiting);
            }
            throw e;
        }
    }

    /** QEMU opens the pipe by its name in /proc, which asks for the right to write: so it belongs to QEMU's user. */
    private static Pipe openPipe(long pid) throws LockstepException {
        Pipe pipe;
        try {
            pipe = new Pipe(PAGE_BYTES);
        } catch (LinuxException e) {
            throw failure(e);
        }
        try {
            ProcessOwner owner = ProcessOwner.of(pid);
            if (!owner.equals(ProcessOwner.of(Path.of("/proc/self")))) {
                owner.own(Path.of("/proc/self/fd/" + pipe.writeFd()));
            }
            return pipe;
        } catch (IOException e) {
            pipe.close();
            throw failure(e);
        }
    }

    private QmpConnection.AddedDescriptor add() throws LockstepException {
        try {
            QmpConnection.AddedDescriptor fd = qmp.addDescriptor(pipe.writeFd());
            pipe.closeWrite();
            return fd;
        } catch (LockstepException e) {
            pipe.close();
            throw e.code().equals("qmp-error")
                    ? new LockstepException("add-fd-refused", "QEMU takes no descriptor over QMP: " + e.getMessage(), e)
                    : e;
        }
    }

    private QmpCommand command() {
        return qmp.prepare(
                "xen-save-devices-state",
                qmp.arguments().put("filename", "/proc/self/fd/" + added.fd()).put("live", false));
    }

    private void watch() {
        poll.set(PIPE, pipe.readFd(), Poll.IN);
        poll.set(QMP, qmp.fd(), Poll.IN);
        poll.set(PROCESS, process.fd(), Poll.IN);
        replyPoll.set(0, qmp.fd(), Poll.IN);
        replyPoll.set(1, process.fd(), Poll.IN);
    }

    private void remember(int bytes) {
        lastStateBytes[states++ % STATES_REMEMBERED] = bytes;
        int count = Math.min(states, STATES_REMEMBERED);
        int smallest = Integer.MAX_VALUE;
        for (int i = 0; i < count; i++) {
            smallest = Math.min(smallest, lastStateBytes[i]);
        }
        int free = smallest - HELD_BYTES_MIN;
        // Only after a full round of states is the smallest worth trusting.
        boolean known = states >= STATES_REMEMBERED && free >= 2 * PAGE_BYTES;
        holdBytes = known ? Math.min(Integer.highestOneBit(free), PIPE_BYTES_MAX / 2) : PAGE_BYTES;
    }

    private void capacity(int bytes) throws LockstepException {
        try {
            pipe.setCapacity(bytes);
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    private static void await(Poll poll, long timeoutNs) throws LockstepException {
        try {
            poll.await(timeoutNs);
        } catch (LinuxException e) {
            throw failure(e);
        }
    }

    private static LockstepException failure(IOException e) {
        return new LockstepException("pipe-failed", "The pipe for the device state failed: " + e.getMessage() + ".", e);
    }
}
