package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Handover;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.network.OutputHold;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves the VM to the peer as planned.
 *
 * <p>Invariants. The VM stands still from the last epoch on until it runs there, or runs on here. Its QEMU is ended only when the peer has loaded
 * that epoch and the record says that the VM is the peer's; the record is taken back before the VM runs on. What fails after the end of QEMU
 * changes nothing any more: the peer is told until it answers. What the VM sent before it stood still leaves by its tap when the peer has the last
 * epoch, past QEMU, which sends nothing any more.
 *
 * <p>Capture thread, which does nothing else meanwhile.
 */
final class Switchover {
    private static final Logger LOG = LoggerFactory.getLogger(Switchover.class);

    /** Longest wait for each of the peer's answers; the VM stands still meanwhile. */
    private static final long STEP_NS = 10_000_000_000L;

    /** An answer is noticed so late at most. */
    private static final long AWAIT_SLICE_NS = 200_000;

    private static final long NOT_HANDED_OVER = -1;

    private final String vmName;
    private final AttachedVm vm;
    private final EpochLoop loop;
    private final OutputHold output;
    private final CaptureSession session;
    private final CurrentState state;
    private final OwnerRecord handedOver;
    private final DutyCycle rounds;

    /** Writes down whose the VM is. */
    interface OwnerRecord {
        /** Durable when it returns: from this epoch on the VM is the peer's; -1: it is ours again. */
        void handingOver(long epoch) throws LockstepException;
    }

    /** @param rounds of the capture thread, which stand still for nothing here */
    Switchover(
            String vmName,
            AttachedVm vm,
            EpochLoop loop,
            OutputHold output,
            CaptureSession session,
            CurrentState state,
            OwnerRecord handedOver,
            DutyCycle rounds) {
        this.vmName = vmName;
        this.vm = vm;
        this.loop = loop;
        this.output = output;
        this.session = session;
        this.state = state;
        this.handedOver = handedOver;
        this.rounds = rounds;
    }

    /**
     * Returns when the VM runs there; runs on here if this throws.
     *
     * @return from the stop here to the peer's word that it runs there, in nanoseconds
     */
    long run(HeldSave save, BooleanSupplier standbyReady) throws LockstepException, LinuxException {
        if (!state.is(ProtectionState.PROTECTED)) {
            throw state.notProtected("switchover");
        }
        if (!standbyReady.getAsBoolean()) {
            throw new LockstepException(
                    "standby-not-ready",
                    "the peer has no standby that waits for " + vmName + ": see `lockstep status` there");
        }
        session.forgetSwitchover();
        boolean given = false;
        try {
            output.bypass(vm.qmp(), vm.pidfd());
            long tookNs = move(save);
            given = true;
            return tookNs;
        } finally {
            if (!given) {
                output.rejoin();
            }
        }
    }

    private long move(HeldSave save) throws LockstepException, LinuxException {
        try (Handover handover = Handover.attach(save, vm.pidfd())) {
            long epoch = loop.freeze(handover);
            StepTimes steps = new StepTimes(save.beginNs());
            steps.done("frozen");
            state.change(ProtectionState.SWITCHING_OVER, "frozen at epoch " + epoch);
            try {
                giveAway(handover, epoch, steps);
            } catch (LockstepException e) {
                takeBack(handover, epoch, e);
                throw e;
            }
            session.owe(new VmDied(epoch, "frozen at epoch " + epoch + " for its switchover, and ended by it"));
            session.tell(new SwitchoverCommit(epoch));
            boolean confirmed = confirmed();
            long tookNs = System.nanoTime() - save.beginNs();
            steps.done("confirmed");
            LOG.info("{}: handed over at epoch {}: {}", vmName, epoch, steps);
            awaitEnd(handover);
            state.change(
                    ProtectionState.HANDED_OVER,
                    confirmed ? "runs on the peer from epoch " + epoch : "the peer was told to run epoch " + epoch);
            return tookNs;
        }
    }

    /** QEMU has been ended when it returns. */
    private void giveAway(Handover handover, long epoch, StepTimes steps) throws LockstepException, LinuxException {
        await(() -> loop.lastAcked() >= epoch, "acknowledge epoch " + epoch);
        session.acknowledged();
        steps.done("acknowledged");
        session.tell(new SwitchoverPrepare(epoch));
        await(() -> session.switchoverReady() != null, "load epoch " + epoch);
        SwitchoverReady ready = Objects.requireNonNull(session.switchoverReady());
        if (!ready.ready()) {
            throw new LockstepException("switchover-refused", "the peer could not load the VM: " + ready.cause());
        }
        steps.done("loaded there");
        output.awaitLeft();
        // Right before the kill and no earlier: should this agent die between the two, the VM runs on here, and a later
        // life would give it away at an epoch that it has left behind.
        handedOver.handingOver(epoch);
        steps.done("recorded");
        handover.kill();
        if (!vm.sharedDisks().isEmpty()) {
            // Its last writes must have ended, and its locks be gone, before the peer opens them.
            handover.awaitEnd(STEP_NS);
        }
        steps.done("ended");
    }

    /** The VM is ours again, and stands so in the record before it runs: no later life of this agent gives it away. */
    private void takeBack(Handover handover, long epoch, LockstepException cause) throws LockstepException {
        try {
            handedOver.handingOver(NOT_HANDED_OVER);
        } catch (LockstepException e) {
            cause.addSuppressed(e);
        }
        loop.unfreeze(handover);
        session.tell(new SwitchoverAbort(epoch, String.valueOf(cause.getMessage())));
        state.change(
                session.up() ? ProtectionState.PROTECTED : ProtectionState.RECONNECTING,
                "switchover failed, the VM runs on here: " + cause.getMessage());
    }

    /** The VM runs there already, whatever becomes of what is left here. */
    private static void awaitEnd(Handover handover) {
        try {
            handover.awaitEnd(STEP_NS);
        } catch (LockstepException e) {
            LOG.warn("{}", e.getMessage());
        }
    }

    private boolean confirmed() throws LinuxException {
        try {
            await(session::promoted, "confirm that the VM runs there");
            return true;
        } catch (LockstepException e) {
            LOG.warn("{}: {}", vmName, e.getMessage());
            return false;
        }
    }

    /** Waits for what the session brings; the VM stands still. */
    private void await(BooleanSupplier condition, String what) throws LockstepException, LinuxException {
        long deadlineNs = System.nanoTime() + STEP_NS;
        while (!condition.getAsBoolean()) {
            long nowNs = System.nanoTime();
            rounds.mark(nowNs);
            session.look(nowNs);
            if (!session.up() && !condition.getAsBoolean()) {
                throw new LockstepException("switchover-link", "the session ended before the peer could " + what);
            }
            if (nowNs > deadlineNs) {
                throw new LockstepException(
                        "switchover-timeout", "the peer did not " + what + " within " + STEP_NS / 1_000_000_000 + " s");
            }
            LockSupport.parkNanos(this, AWAIT_SLICE_NS);
        }
    }
}
