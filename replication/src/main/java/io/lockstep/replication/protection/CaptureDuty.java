package io.lockstep.replication.protection;

import io.lockstep.linux.EventCounter;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.network.HeldUntil;
import io.lockstep.replication.network.OutputHold;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The duty cycle of one protected VM: looks at QEMU, the {@link CaptureSession} and the verbs, then lets the {@link EpochLoop} do its next step.
 *
 * <p>Invariants. It ends once, and whatever ends it is told to the peer, if there is a session, before the listener learns of it. If QEMU is gone,
 * that is the reason, whatever failed first.
 *
 * <p>All methods on the capture thread, but for those that say otherwise.
 */
final class CaptureDuty implements Runnable {
    private static final Logger LOG = LoggerFactory.getLogger(CaptureDuty.class);

    /** The longest sleep in a session: verbs, messages, output and disks wake the thread. */
    private static final long IDLE_NS_MAX = 100_000_000;

    /** The same without one: held output leaves when its time is over. */
    private static final long IDLE_ALONE_NS_MAX = 10_000_000;

    /** Between QEMU closing its monitor and the end of its process. */
    private static final long QMP_CLOSED_GRACE_NS = 500_000_000L;

    private static final int QMP = 0;
    private static final int PROCESS = 1;
    private static final int WAKE = 2;

    /** What a verb does on the capture thread. */
    interface Verb {
        void run() throws LockstepException, LinuxException;
    }

    /** Learns how it ended, once, and what leads there; on the capture thread. */
    interface EndListener extends Switchover.OwnerRecord, CurrentState.Listener {
        void ended(ProtectionState state, String reason);
    }

    private final String vmName;
    private final AttachedVm vm;
    private final VmEvents events;
    private final EpochLoop loop;
    private final OutputHold output;
    private final EventCounter wake;
    private final HeldUntil heldUntil;
    private final CurrentState state;
    private final CaptureSession session;
    private final Switchover switchover;
    private final EndListener listener;
    private final Poll poll = new Poll(3);
    private final ConcurrentLinkedQueue<Verb> verbs = new ConcurrentLinkedQueue<>();
    private final DutyCycle rounds = new DutyCycle();
    private volatile boolean stopping;

    CaptureDuty(
            String vmName,
            AttachedVm vm,
            VmEvents events,
            EpochCapture capture,
            EpochLoop loop,
            OutputHold output,
            EventCounter wake,
            HeldUntil heldUntil,
            PagePipeline pipeline,
            SessionInbox inbox,
            EndListener listener) {
        this.vmName = vmName;
        this.vm = vm;
        this.events = events;
        this.loop = loop;
        this.output = output;
        this.wake = wake;
        this.heldUntil = heldUntil;
        this.listener = listener;
        state = new CurrentState(vmName, listener);
        session = new CaptureSession(vmName, capture, loop, heldUntil, pipeline, inbox, state);
        switchover = new Switchover(vmName, vm, loop, output, session, state, listener, rounds);
        poll.set(QMP, vm.qmp().fd(), Poll.IN);
        poll.set(PROCESS, vm.pidfd().fd(), Poll.IN);
        poll.set(WAKE, wake.fd(), Poll.IN);
    }

    @Override
    public void run() {
        try {
            lookAtVm(0);
            while (!stopping && !state.terminal()) {
                long nowNs = System.nanoTime();
                rounds.mark(nowNs);
                long nextNs = cycle(nowNs);
                if (!stopping && !state.terminal()) {
                    long doneNs = System.nanoTime();
                    rounds.mark(doneNs, Math.max(doneNs, nextNs));
                    lookAtVm(Math.max(0, nextNs - doneNs));
                }
            }
        } catch (LockstepException e) {
            stopped(e);
        } catch (LinuxException e) {
            stopped(new LockstepException("capture-failed", String.valueOf(e.getMessage()), e));
        } catch (RuntimeException | Error e) {
            LOG.error("{}: the capture thread failed", vmName, e);
            stopped(new LockstepException("capture-failed", "unexpected: " + e, e));
        } finally {
            listener.ended(state.get(), state.reason());
        }
    }

    /** Does what is due; when something is again, {@link System#nanoTime()}. */
    private long cycle(long nowNs) throws LockstepException, LinuxException {
        session.look(nowNs);
        while (!state.terminal()) {
            Verb verb = verbs.poll();
            if (verb == null) {
                break;
            }
            verb.run();
        }
        if (state.terminal()) {
            return nowNs;
        }
        output.check();
        if (!session.up() && output.holding() && heldUntil.over(nowNs)) {
            LOG.warn("{}: the peer is gone and cannot promote: held output leaves, unprotected", vmName);
            output.pass();
        }
        long nextNs = nowNs + IDLE_ALONE_NS_MAX;
        if (session.up()) {
            try {
                loop.cycle(nowNs);
                session.stepped();
                nextNs = Math.min(nowNs + IDLE_NS_MAX, loop.nextCycleNs(System.nanoTime()));
            } catch (PipelineException | LinkException e) {
                session.lost(e);
            }
            if (session.up() && loop.protectedNow() && !state.is(ProtectionState.PROTECTED)) {
                state.change(ProtectionState.PROTECTED, "epoch " + loop.lastAcked() + " committed");
            }
        }
        return nextNs;
    }

    /** Events and the process's end; waits for them unless one came meanwhile, with an answer of the monitor's. */
    private void lookAtVm(long timeoutNs) throws LockstepException, LinuxException {
        boolean told = !events.ended().isEmpty() || !events.changed().isEmpty();
        poll.await(told ? 0 : timeoutNs);
        boolean gone = poll.ready(PROCESS) != 0;
        if (poll.ready(WAKE) != 0) {
            wake.drain();
        }
        if (poll.ready(QMP) != 0) {
            try {
                vm.qmp().receive();
            } catch (LockstepException e) {
                gone |= vm.pidfd().awaitExit(QMP_CLOSED_GRACE_NS);
                if (!gone) {
                    throw e;
                }
            }
        }
        if (!events.ended().isEmpty()) {
            released(true, "the VM ended: " + events.ended());
        } else if (gone) {
            throw new VmGoneException();
        } else if (!events.changed().isEmpty()) {
            throw new LockstepException(
                    "vm-changed", vmName + " changed: " + events.changed() + ". Protect it again to start over.");
        }
    }

    // ------------------------------------------------------------------ verbs

    /** Compares all pages at the next boundary. */
    void verify(VerifyRun run) {
        session.verify(run);
    }

    /**
     * Moves the VM to the peer; returns when it runs there, or runs on here.
     *
     * @return from the stop here to the peer's word that it runs there, in nanoseconds
     */
    long switchover(HeldSave save, BooleanSupplier standbyReady) throws LockstepException, LinuxException {
        return switchover.run(save, standbyReady);
    }

    /** Holds the VM's output from the next boundary on, or lets it go. */
    void mode(boolean held) throws LockstepException {
        if (held) {
            output.install(vm.qmp());
            loop.holdOutput(true);
        } else {
            loop.holdOutput(false);
            output.remove(vm.qmp());
        }
    }

    /** The agent stops in order and comes back; the VM runs on. */
    void goodbye(String reason) {
        session.tell(new Goodbye(reason));
        stopping = true;
    }

    // ------------------------------------------------------------------ ends

    /** Whatever went wrong: if QEMU is gone, that is why. */
    private void stopped(LockstepException cause) {
        loop.letGo();
        boolean gone = cause instanceof VmGoneException;
        try {
            gone |= vm.pidfd().awaitExit(QMP_CLOSED_GRACE_NS);
            vm.qmp().receive();
        } catch (LockstepException | LinuxException e) {
            LOG.debug("{}: the last words of QEMU: {}", vmName, e.getMessage());
        }
        if (!events.ended().isEmpty()) {
            released(true, "the VM ended: " + events.ended());
        } else if (gone) {
            vmDied();
        } else {
            failed(cause);
        }
    }

    private void vmDied() {
        LOG.warn("{}: QEMU's process ended without a shutdown", vmName);
        // What the world has seen of it, the peer must hold, unless it knows that it holds nothing.
        boolean exact = loop.peerHoldsNothing()
                || loop.nothingSeenSince()
                || vm.netDevices().isEmpty();
        ControlMessage last = exact
                ? new VmDied(loop.lastAcked(), "QEMU's process ended")
                : new Released(
                        false,
                        "QEMU died before an epoch of this session was committed, and what it sent since epoch "
                                + loop.lastAcked() + " was seen");
        session.owe(last);
        boolean told = session.tell(last);
        state.change(
                ProtectionState.VM_DIED,
                told
                        ? "QEMU died; the peer was told"
                                + (exact ? "" : " not to promote: the VM had sent what it does not know")
                        : "QEMU died without a session with the peer, which is told once there is one");
    }

    /** Takes what the peer said while its session was ended. */
    void takeLastAnswers() {
        session.takeAnswers();
    }

    /** What the peer must hear of the VM's end and has not answered yet: {@link VmDied} or {@link Released}; null if there is nothing. Any thread. */
    @Nullable
    ControlMessage unheard() {
        return session.unheard();
    }

    /** Ends protection for good and tells the peer. */
    void released(boolean discard, String reason) {
        session.tell(new Released(discard, reason));
        state.change(ProtectionState.RELEASED, reason);
    }

    private void failed(LockstepException cause) {
        state.error(cause);
        session.tell(new Released(false, String.valueOf(cause.getMessage())));
        session.failVerify(cause);
        state.change(ProtectionState.FAILED, String.valueOf(cause.getMessage()));
    }

    // ------------------------------------------------------------------ any thread

    /** Has something done on the capture thread, within its next cycles. */
    void post(Verb verb) {
        verbs.add(verb);
        wake.signal();
    }

    /** Ends the cycles without a change of state: the agent stops, the VM and its tracker stay as they are. */
    void stop() {
        stopping = true;
        wake.signal();
    }

    ProtectionState state() {
        return state.get();
    }

    String stateReason() {
        return state.reason();
    }

    long stateSinceMs() {
        return state.sinceMs();
    }

    @Nullable
    LockstepException lastError() {
        return state.lastError();
    }

    long lastErrorMs() {
        return state.lastErrorMs();
    }

    DutyCycle rounds() {
        return rounds;
    }

    long ackedEpoch() {
        return session.ackedEpoch();
    }

    long begunEpoch() {
        return session.begunEpoch();
    }

    long scrubMismatches() {
        return session.scrubMismatches();
    }

    int resumedSessions() {
        return session.resumed();
    }
}
