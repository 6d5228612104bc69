package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What one replica is, since when and why, and what failed last.
 *
 * <p>Invariants. There is one way to change the state; it logs the reason and tells the listener. Another reason for the same state does not
 * begin it anew.
 *
 * <p>Any thread reads and notes errors; the state is changed under the replica's lock.
 */
final class CurrentState {
    private static final Logger LOG = LoggerFactory.getLogger(CurrentState.class);

    private final String vm;
    private final ReplicaListener listener;
    private final LongSupplier wallMs;
    private volatile ReplicaState state = ReplicaState.EMPTY;
    private volatile String reason = "no session yet";
    private volatile long sinceMs;
    private volatile long sinceNs;
    private volatile LastError lastError = LastError.NONE;

    /** What failed last; empty strings if nothing did. */
    record LastError(String code, String message, long atMs) {
        static final LastError NONE = new LastError("", "", 0);
    }

    CurrentState(String vm, ReplicaListener listener, LongSupplier wallMs, long nowNs) {
        this.vm = vm;
        this.listener = listener;
        this.wallMs = wallMs;
        sinceMs = wallMs.getAsLong();
        sinceNs = nowNs;
    }

    ReplicaState get() {
        return state;
    }

    boolean is(ReplicaState other) {
        return state == other;
    }

    /** Of the last change, or the last time that the same state was said again. */
    String reason() {
        return reason;
    }

    /** When the state was entered, milliseconds since 1970. */
    long sinceMs() {
        return sinceMs;
    }

    /** The same on the host's clock. */
    long sinceNs() {
        return sinceNs;
    }

    /** State and reason, for messages. */
    String described() {
        return state.label() + ": " + reason;
    }

    void change(ReplicaState next, long nowNs, String why) {
        ReplicaState before = state;
        state = next;
        reason = why;
        if (before != next) {
            sinceNs = nowNs;
            sinceMs = wallMs.getAsLong();
            LOG.info("{}: {} -> {}: {}", vm, before.label(), next.label(), why);
            listener.stateChanged(vm, before, next, why);
        }
    }

    void error(String code, String message) {
        lastError = new LastError(code, message, wallMs.getAsLong());
        LOG.warn("{}: {}: {}", vm, code, message);
        listener.error(vm, code, message);
    }

    void error(LockstepException cause) {
        error(cause.code(), String.valueOf(cause.getMessage()));
    }

    LastError lastError() {
        return lastError;
    }

    void forgetError() {
        lastError = LastError.NONE;
    }
}
