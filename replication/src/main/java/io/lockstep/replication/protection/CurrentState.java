package io.lockstep.replication.protection;

import io.lockstep.replication.LockstepException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the protection of one VM is, since when and why, and what failed last.
 *
 * <pre>
 *   CONNECTING -> SYNCING -> PROTECTED <-> RECONNECTING (-> SYNCING)
 *   any -> RELEASED (unprotect, guest shut down) | VM_DIED | FAILED;  PROTECTED -> SWITCHING_OVER -> HANDED_OVER
 * </pre>
 *
 * <p>Invariants. There is one way to change the state; it logs the reason and tells the listener. The reason is that of the change.
 *
 * <p>The capture thread changes it, any thread reads.
 */
final class CurrentState {
    private static final Logger LOG = LoggerFactory.getLogger(CurrentState.class);

    private final String vmName;
    private final Listener listener;
    private volatile ProtectionState state = ProtectionState.CONNECTING;
    private volatile long sinceMs = System.currentTimeMillis();
    private volatile String reason = "protect";
    private volatile @Nullable LockstepException lastError;
    private volatile long lastErrorMs;

    /** Learns of a change; must not wait. */
    interface Listener {
        void stateChanged(ProtectionState from, ProtectionState to, String reason);
    }

    CurrentState(String vmName, Listener listener) {
        this.vmName = vmName;
        this.listener = listener;
    }

    ProtectionState get() {
        return state;
    }

    boolean is(ProtectionState other) {
        return state == other;
    }

    boolean terminal() {
        return state.terminal();
    }

    String reason() {
        return reason;
    }

    /** Milliseconds since 1970. */
    long sinceMs() {
        return sinceMs;
    }

    void change(ProtectionState next, String why) {
        if (next != state) {
            LOG.info("{}: {} -> {}: {}", vmName, state, next, why);
            ProtectionState before = state;
            reason = why;
            sinceMs = System.currentTimeMillis();
            state = next;
            listener.stateChanged(before, next, why);
        }
    }

    void error(LockstepException cause) {
        lastError = cause;
        lastErrorMs = System.currentTimeMillis();
    }

    @Nullable
    LockstepException lastError() {
        return lastError;
    }

    /** Milliseconds since 1970. */
    long lastErrorMs() {
        return lastErrorMs;
    }

    /** The refusal of a verb that works on a protected VM only. */
    LockstepException notProtected(String verb) {
        return new LockstepException(
                "not-protected",
                vmName + " is " + state + ", not PROTECTED: " + reason + ". `lockstep " + verb
                        + "` works when `lockstep status` says PROTECTED.");
    }
}
