package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import java.util.function.Consumer;

/** How the receiving side wakes the applier and waits for it: another thread's, or the same thread's in a simulation. */
interface AppliedWait {
    /** Makes a way to run an applier. */
    @FunctionalInterface
    interface Factory {
        /** @param onFailure called once if applying fails, on whatever thread applies; must not block */
        AppliedWait create(String vm, EpochApplier applier, Consumer<LockstepException> onFailure);
    }

    /** An epoch was committed. */
    void committed();

    /**
     * Returns when the epoch, and so all before it, is in the replica's files.
     *
     * @throws LockstepException {@code replica-lost} if applying failed
     */
    void await(long epoch) throws LockstepException;
}
