package io.lockstep.replication.replica;

import io.lockstep.replication.link.ControlMessage.LinkError;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Takes down what becomes of the standby: its process for the next agent, what failed for the operator, and for the primary.
 *
 * <p>Invariant: a primary is told of a failure once, in the session in which it happened.
 *
 * <p>Any thread.
 */
final class StandbyReports implements StandbyKeeper.Events {
    private final ReplicaStore store;
    private final CurrentState state;
    private final AtomicReference<@Nullable LinkError> untold = new AtomicReference<>();

    StandbyReports(ReplicaStore store, CurrentState state) {
        this.store = store;
        this.state = state;
    }

    @Override
    public void error(String code, String message) {
        state.error(code, message);
    }

    @Override
    public void standbyFailed(String code, String message) {
        state.error(code, message);
        untold.set(new LinkError(code, message));
    }

    @Override
    public void spawned(long pid) throws IOException {
        store.noteStandby(pid);
    }

    /** What failed before is of no use to its primary. */
    void sessionBegins() {
        untold.set(null);
    }

    /** Why there is no standby, once, for the primary; null if nothing new failed. */
    @Nullable
    LinkError take() {
        return untold.getAndSet(null);
    }
}
