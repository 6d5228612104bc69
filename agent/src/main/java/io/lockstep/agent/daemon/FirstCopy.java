package io.lockstep.agent.daemon;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.protection.ProtectionState;
import org.jspecify.annotations.Nullable;

/** What {@code protect} waits for, and when it gives up: its operator wants an answer, not an agent that tries for ever. */
final class FirstCopy {
    /** The peer has answered once already: this is a restart of its agent, or it is gone. */
    static final long CONTACT_MS_MAX = 10_000;

    /** A standby starts within a second or says why it does not; this is for a host under heavy load. */
    static final long STANDBY_MS_MAX = 60_000;

    private final ProtectedVm vm;

    FirstCopy(ProtectedVm vm) {
        this.vm = vm;
    }

    /** Whether the peer could take over from now on: it holds an epoch, and a standby waits for it. */
    boolean complete() {
        return vm.state() == ProtectionState.PROTECTED && vm.standbyReady();
    }

    /**
     * Why it makes no sense to wait longer; null while it does.
     *
     * @param nowMs milliseconds since 1970
     */
    @Nullable
    LockstepException refusal(long nowMs) {
        LockstepException refusal = vm.refusal();
        if (refusal != null) {
            return refusal;
        }
        ProtectionState state = vm.state();
        LockstepException error = vm.lastError();
        boolean away = state == ProtectionState.CONNECTING || state == ProtectionState.RECONNECTING;
        if (away && error != null && vm.lastErrorMs() - vm.stateSinceMs() > CONTACT_MS_MAX) {
            return error;
        }
        if (state == ProtectionState.PROTECTED && nowMs - vm.stateSinceMs() > STANDBY_MS_MAX) {
            return new LockstepException(
                    "standby-not-ready",
                    "no standby of " + vm.ticket().vmName() + " waits on peer "
                            + vm.peer().name() + " after " + STANDBY_MS_MAX / 1000
                            + " s: see `lockstep status` and the agent's log there.");
        }
        return null;
    }

    /** Why protection ended by itself. */
    LockstepException ended() {
        LockstepException error = vm.lastError();
        return new LockstepException(
                vm.state() == ProtectionState.FAILED && error != null ? error.code() : "protection-ended",
                vm.stateReason());
    }
}
