package io.lockstep.replication.protection;

import io.lockstep.linux.EventCounter;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Handover;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.network.HeldUntil;
import io.lockstep.replication.network.OutputHold;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.agrona.ExpandableArrayBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The duty cycle of one protected VM: looks at QEMU, the session and the verbs, then lets the {@link EpochLoop} do its next step.
 *
 * <pre>
 *   CONNECTING -> SYNCING -> PROTECTED <-> RECONNECTING (-> SYNCING)
 *   any -> RELEASED (unprotect, guest shut down) | VM_DIED | FAILED;  PROTECTED -> SWITCHING_OVER -> HANDED_OVER
 * </pre>
 *
 * All methods on the capture thread, but for those that say otherwise.
 */
final class CaptureDuty implements Runnable {
    private static final Logger LOG = LoggerFactory.getLogger(CaptureDuty.class);

    /** The longest sleep: verbs and messages wait no longer. */
    private static final long IDLE_NS_MAX = 10_000_000;

    /** Last words travel in this time, or the peer's own rules decide. */
    private static final long LAST_WORDS_MS = 2_000;

    /** Between QEMU closing its monitor and the end of its process. */
    private static final long QMP_CLOSED_GRACE_NS = 500_000_000L;

    /** Longest wait for each of the peer's answers in a switchover; the VM stands still meanwhile. */
    private static final long SWITCHOVER_STEP_NS = 10_000_000_000L;

    /** An answer is noticed so late at most. */
    private static final long AWAIT_SLICE_NS = 200_000;

    private static final long NOT_HANDED_OVER = -1;

    private static final int QMP = 0;
    private static final int PROCESS = 1;
    private static final int WAKE = 2;

    /** What a verb does on the capture thread. */
    interface Verb {
        void run() throws LockstepException, LinuxException;
    }

    /** Learns how it ended, once, on the capture thread. */
    interface EndListener {
        void ended(ProtectionState state, String reason);

        /** QEMU, which stands still at this committed epoch, is about to be ended: from now on the VM is the peer's; -1: it is ours again. */
        void handingOver(long epoch) throws LockstepException;

        /** A change of state; must not wait. */
        void stateChanged(ProtectionState from, ProtectionState to, String reason);
    }

    private final String vmName;
    private final AttachedVm vm;
    private final VmEvents events;
    private final EpochCapture capture;
    private final EpochLoop loop;
    private final OutputHold output;
    private final EventCounter wake;
    private final HeldUntil heldUntil;
    private final PagePipeline pipeline;
    private final SessionInbox inbox;
    private final EndListener listener;
    private final Poll poll = new Poll(3);
    private final ConcurrentLinkedQueue<Verb> verbs = new ConcurrentLinkedQueue<>();
    private final ExpandableArrayBuffer words = new ExpandableArrayBuffer();

    private volatile ProtectionState state = ProtectionState.CONNECTING;
    private volatile long stateSinceMs = System.currentTimeMillis();
    private volatile String stateReason = "protect";
    private volatile @Nullable LockstepException lastError;
    private volatile long lastErrorMs;
    private final DutyCycle rounds = new DutyCycle();
    private volatile long ackedEpoch = -1;
    private volatile long begunEpoch = -1;
    private final AtomicLong scrubMismatches = new AtomicLong();
    private final AtomicInteger resumedSessions = new AtomicInteger();
    private volatile boolean stopping;
    private boolean sessionUp;
    private @Nullable VerifyRun verifying;
    private @Nullable SwitchoverReady switchoverReady;
    private @Nullable Promoted promoted;
    private volatile @Nullable ControlMessage unheard;

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
        this.capture = capture;
        this.loop = loop;
        this.output = output;
        this.wake = wake;
        this.heldUntil = heldUntil;
        this.pipeline = pipeline;
        this.inbox = inbox;
        this.listener = listener;
        poll.set(QMP, vm.qmp().fd(), Poll.IN);
        poll.set(PROCESS, vm.pidfd().fd(), Poll.IN);
        poll.set(WAKE, wake.fd(), Poll.IN);
    }

    @Override
    public void run() {
        try {
            while (!stopping && !state.terminal()) {
                long nowNs = System.nanoTime();
                rounds.mark(nowNs);
                cycle(nowNs);
            }
        } catch (LockstepException e) {
            stopped(e);
        } catch (LinuxException e) {
            stopped(new LockstepException("capture-failed", String.valueOf(e.getMessage()), e));
        } catch (RuntimeException | Error e) {
            LOG.error("{}: the capture thread failed", vmName, e);
            failed(new LockstepException("capture-failed", "unexpected: " + e, e));
        } finally {
            listener.ended(state, stateReason);
        }
    }

    private void cycle(long nowNs) throws LockstepException, LinuxException {
        lookAtVm(0);
        lookAtSession(nowNs);
        for (Verb verb = verbs.poll(); verb != null; verb = verbs.poll()) {
            verb.run();
        }
        if (state.terminal()) {
            return;
        }
        output.check();
        if (!sessionUp && output.holding() && heldUntil.over(nowNs)) {
            LOG.warn("{}: the peer is gone and cannot promote: held output leaves, unprotected", vmName);
            output.pass();
        }
        long nextNs = nowNs + IDLE_NS_MAX;
        if (sessionUp) {
            try {
                loop.cycle(nowNs);
                ackedEpoch = loop.lastAcked();
                begunEpoch = loop.epoch();
                nextNs = Math.min(nextNs, loop.nextCycleNs(System.nanoTime()));
            } catch (PipelineException | LinkException e) {
                loop.letGo();
                sessionLost(e);
            }
            if (sessionUp && loop.protectedNow() && state != ProtectionState.PROTECTED) {
                state(ProtectionState.PROTECTED, "epoch " + loop.lastAcked() + " committed");
            }
        }
        lookAtVm(Math.max(0, nextNs - System.nanoTime()));
    }

    /** Events and the process's end. */
    private void lookAtVm(long timeoutNs) throws LockstepException, LinuxException {
        poll.await(timeoutNs);
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

    private void lookAtSession(long nowNs) throws LockstepException, LinuxException {
        loop.acknowledged(inbox.ackedEpoch(), inbox.ackedNs());
        LockstepException ended = inbox.takeEnded();
        if (ended != null) {
            sessionLost(ended);
        }
        SessionInbox.Established fresh = inbox.takeEstablished();
        if (fresh != null) {
            begin(fresh, nowNs);
        }
        for (ControlMessage message = inbox.takeMessage(); message != null; message = inbox.takeMessage()) {
            take(message);
        }
    }

    private void begin(SessionInbox.Established fresh, long nowNs) throws LockstepException, LinuxException {
        try {
            boolean resumes = loop.attach(
                    fresh.channel(),
                    fresh.reply().status(),
                    fresh.reply().committedEpoch(),
                    fresh.reply().imagesId(),
                    nowNs);
            sessionUp = true;
            heldUntil.sessionBegan(fresh.reply().promotionWindowMs());
            if (resumes) {
                resumedSessions.incrementAndGet();
            }
            state(
                    resumes ? ProtectionState.RECONNECTING : ProtectionState.SYNCING,
                    resumes ? "resumes from epoch " + fresh.reply().committedEpoch() : "full copy");
        } catch (PipelineException e) {
            sessionLost(e);
        }
    }

    private void sessionLost(LockstepException cause) {
        error(cause);
        heldUntil.sessionLost(cause, System.nanoTime());
        if (sessionUp) {
            sessionUp = false;
            loop.letGo();
            pipeline.abort(cause);
            try {
                pipeline.detach(LAST_WORDS_MS);
            } catch (PipelineException e) {
                LOG.warn("{}: {}", vmName, e.getMessage());
            }
            failVerify(cause);
            state(ProtectionState.RECONNECTING, String.valueOf(cause.getMessage()));
        }
    }

    private void take(ControlMessage message) {
        if (message instanceof VerifyResult result) {
            VerifyRun run = verifying;
            if (run != null) {
                verifying = null;
                run.result().complete(result);
            }
        } else if (message instanceof ScrubMismatch mismatch) {
            scrubMismatches.addAndGet(mismatch.differing().size());
            mismatch.differing().forEach(p -> capture.heal(p.block(), (int) p.page()));
            error(new LockstepException(
                    "scrub-mismatch",
                    mismatch.differing().size() + " pages differed at epoch " + mismatch.epoch() + ", first "
                            + mismatch.differing().get(0) + ": they are sent again. Report this with the log."));
        } else if (message instanceof SwitchoverReady ready) {
            switchoverReady = ready;
        } else if (message instanceof Promoted done) {
            promoted = done;
            unheard = null;
        } else if (message instanceof LinkError failure) {
            error(new LinkException(LinkException.Kind.REFUSED, failure.code(), failure.cause()));
        } else {
            LOG.warn("{}: the peer said {}", vmName, message);
        }
    }

    // ------------------------------------------------------------------ verbs

    /** Compares all pages at the next boundary. */
    void verify(VerifyRun run) {
        if (state != ProtectionState.PROTECTED) {
            run.result().completeExceptionally(notProtected("verify"));
        } else if (verifying != null) {
            run.result()
                    .completeExceptionally(new LockstepException(
                            "verify-running", vmName + " is being verified already: wait for its result."));
        } else {
            verifying = run;
            loop.verifyNext(run);
        }
    }

    /**
     * Moves the VM to the peer; returns when it runs there, or runs on here.
     *
     * @return from the stop here to the peer's word that it runs there, in nanoseconds
     */
    long switchover(HeldSave save, BooleanSupplier standbyReady) throws LockstepException, LinuxException {
        if (state != ProtectionState.PROTECTED) {
            throw notProtected("switchover");
        }
        if (!standbyReady.getAsBoolean()) {
            throw new LockstepException(
                    "standby-not-ready",
                    "the peer has no standby that waits for " + vmName + ": see `lockstep status` there");
        }
        switchoverReady = null;
        promoted = null;
        try (Handover handover = Handover.attach(save, vm.pidfd())) {
            long epoch = loop.freeze(handover);
            StepTimes steps = new StepTimes(save.beginNs());
            steps.done("frozen");
            state(ProtectionState.SWITCHING_OVER, "frozen at epoch " + epoch);
            try {
                await(() -> loop.lastAcked() >= epoch, "acknowledge epoch " + epoch);
                ackedEpoch = loop.lastAcked();
                steps.done("acknowledged");
                tell(new SwitchoverPrepare(epoch));
                await(() -> switchoverReady != null, "load epoch " + epoch);
                SwitchoverReady ready = Objects.requireNonNull(switchoverReady);
                if (!ready.ready()) {
                    throw new LockstepException(
                            "switchover-refused", "the peer could not load the VM: " + ready.cause());
                }
                steps.done("loaded there");
                // Right before the kill and no earlier: should this agent die between the two, the VM runs on here, and
                // a later
                // life would give it away at an epoch that it has left behind.
                listener.handingOver(epoch);
                steps.done("recorded");
                handover.kill();
                if (!vm.sharedDisks().isEmpty()) {
                    // Its last writes must have ended, and its locks be gone, before the peer opens them.
                    handover.awaitEnd(SWITCHOVER_STEP_NS);
                }
                steps.done("ended");
            } catch (LockstepException e) {
                takeBack(e);
                loop.unfreeze(handover);
                if (sessionUp) {
                    tell(new SwitchoverAbort(epoch, String.valueOf(e.getMessage())));
                }
                state(
                        sessionUp ? ProtectionState.PROTECTED : ProtectionState.RECONNECTING,
                        "switchover failed, the VM runs on here: " + e.getMessage());
                throw e;
            }
            unheard = new VmDied(epoch, "frozen at epoch " + epoch + " for its switchover, and ended by it");
            tell(new SwitchoverCommit(epoch));
            boolean confirmed = confirmed();
            long tookNs = System.nanoTime() - save.beginNs();
            steps.done("confirmed");
            LOG.info("{}: handed over at epoch {}: {}", vmName, epoch, steps);
            awaitEnd(handover);
            state(
                    ProtectionState.HANDED_OVER,
                    confirmed ? "runs on the peer from epoch " + epoch : "the peer was told to run epoch " + epoch);
            return tookNs;
        }
    }

    /** The VM runs there already, whatever becomes of what is left here. */
    private static void awaitEnd(Handover handover) {
        try {
            handover.awaitEnd(SWITCHOVER_STEP_NS);
        } catch (LockstepException e) {
            LOG.warn("{}", e.getMessage());
        }
    }

    /** The VM is ours again, and stands so in the record before it runs: no later life of this agent gives it away. */
    private void takeBack(LockstepException cause) {
        try {
            listener.handingOver(NOT_HANDED_OVER);
        } catch (LockstepException e) {
            cause.addSuppressed(e);
        }
    }

    private boolean confirmed() throws LinuxException {
        try {
            await(() -> promoted != null, "confirm that the VM runs there");
            return true;
        } catch (LockstepException e) {
            LOG.warn("{}: {}", vmName, e.getMessage());
            return false;
        }
    }

    /** Waits for what the session brings; the VM stands still. */
    private void await(BooleanSupplier condition, String what) throws LockstepException, LinuxException {
        long deadlineNs = System.nanoTime() + SWITCHOVER_STEP_NS;
        while (!condition.getAsBoolean()) {
            long nowNs = System.nanoTime();
            rounds.mark(nowNs);
            lookAtSession(nowNs);
            if (!sessionUp && !condition.getAsBoolean()) {
                throw new LockstepException("switchover-link", "the session ended before the peer could " + what);
            }
            if (nowNs > deadlineNs) {
                throw new LockstepException(
                        "switchover-timeout",
                        "the peer did not " + what + " within " + SWITCHOVER_STEP_NS / 1_000_000_000 + " s");
            }
            LockSupport.parkNanos(this, AWAIT_SLICE_NS);
        }
    }

    private LockstepException notProtected(String verb) {
        return new LockstepException(
                "not-protected",
                vmName + " is " + state + ", not PROTECTED: " + stateReason + ". `lockstep " + verb
                        + "` works when `lockstep status` says PROTECTED.");
    }

    /** Holds the VM's output from the next boundary on, or lets it go. */
    void mode(boolean held) throws LockstepException {
        if (held) {
            output.install(vm.qmp());
            loop.hold(true);
        } else {
            loop.hold(false);
            output.remove(vm.qmp());
        }
    }

    /** The agent stops in order and comes back; the VM runs on. */
    void goodbye(String reason) {
        if (sessionUp) {
            tell(new Goodbye(reason));
        }
        stopping = true;
    }

    // ------------------------------------------------------------------ ends

    /** Whatever went wrong: if QEMU is gone, that is why. */
    private void stopped(LockstepException cause) {
        loop.abandon();
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
        unheard = last;
        boolean told = sessionUp && tell(last);
        state(
                ProtectionState.VM_DIED,
                told
                        ? "QEMU died; the peer was told"
                                + (exact ? "" : " not to promote: the VM had sent what it does not know")
                        : "QEMU died without a session with the peer, which is told once there is one");
    }

    /** Takes what the peer said while its session was ended. */
    void takeLastAnswers() {
        for (ControlMessage message = inbox.takeMessage(); message != null; message = inbox.takeMessage()) {
            take(message);
        }
    }

    /** What the peer must hear of the VM's end and has not answered yet: {@link VmDied} or {@link Released}; null if there is nothing. Any thread. */
    @Nullable
    ControlMessage unheard() {
        return unheard;
    }

    /** Ends protection for good and tells the peer. */
    void released(boolean discard, String reason) {
        if (sessionUp) {
            tell(new Released(discard, reason));
        }
        state(ProtectionState.RELEASED, reason);
    }

    private void failed(LockstepException cause) {
        error(cause);
        if (sessionUp) {
            tell(new Released(false, String.valueOf(cause.getMessage())));
        }
        failVerify(cause);
        state(ProtectionState.FAILED, String.valueOf(cause.getMessage()));
    }

    /** Last words, after everything that was captured. */
    private boolean tell(ControlMessage message) {
        try {
            int length = ControlCodec.encode(message, words);
            pipeline.message(words, 0, length);
            pipeline.awaitDrained(LAST_WORDS_MS);
            return true;
        } catch (PipelineException e) {
            LOG.warn("{}: could not tell the peer {}: {}", vmName, message, e.getMessage());
            return false;
        }
    }

    private void failVerify(LockstepException cause) {
        VerifyRun run = verifying;
        if (run != null) {
            verifying = null;
            run.result().completeExceptionally(cause);
        }
    }

    private void error(LockstepException cause) {
        lastError = cause;
        lastErrorMs = System.currentTimeMillis();
    }

    private void state(ProtectionState next, String reason) {
        if (next != state) {
            LOG.info("{}: {} -> {}: {}", vmName, state, next, reason);
            ProtectionState before = state;
            stateReason = reason;
            stateSinceMs = System.currentTimeMillis();
            state = next;
            listener.stateChanged(before, next, reason);
        }
    }

    // ------------------------------------------------------------------ any thread

    /** Has something done on the capture thread, within its next cycles. */
    void post(Verb verb) {
        verbs.add(verb);
    }

    /** Ends the cycles without a change of state: the agent stops, the VM and its tracker stay as they are. */
    void stop() {
        stopping = true;
    }

    ProtectionState state() {
        return state;
    }

    String stateReason() {
        return stateReason;
    }

    long stateSinceMs() {
        return stateSinceMs;
    }

    @Nullable
    LockstepException lastError() {
        return lastError;
    }

    long lastErrorMs() {
        return lastErrorMs;
    }

    DutyCycle rounds() {
        return rounds;
    }

    long ackedEpoch() {
        return ackedEpoch;
    }

    long begunEpoch() {
        return begunEpoch;
    }

    long scrubMismatches() {
        return scrubMismatches.get();
    }

    int resumedSessions() {
        return resumedSessions.get();
    }
}
