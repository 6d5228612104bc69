package io.lockstep.replication.protection;

import io.lockstep.replication.LockstepException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The agent's record that the peer runs the VM from an epoch on. It is written while the peer loads that epoch, and must be on disk before the
 * VM is killed here; until then it says no more than that it may come to that: a VM that lives is ours. One thread, and one of its own that writes.
 */
final class HandoverRecord {
    /** Not handed over. */
    private static final long NOWHERE = -1;

    private final Store store;
    private final FutureTask<Boolean> written;

    /** Where it is kept. */
    interface Store {
        /** @param epoch that the peer runs the VM from; -1: the VM is ours */
        void handingOver(long epoch) throws LockstepException;
    }

    private HandoverRecord(Store store, long epoch) {
        this.store = store;
        written = new FutureTask<>(() -> {
            store.handingOver(epoch);
            return true;
        });
    }

    /** Begins to write it. */
    static HandoverRecord begin(String vmName, long epoch, Store store) {
        HandoverRecord record = new HandoverRecord(store, epoch);
        Thread thread = new Thread(record.written, "handover " + vmName);
        thread.setDaemon(true);
        thread.start();
        return record;
    }

    /**
     * Waits until it is on disk.
     *
     * @throws LockstepException {@code handover-not-recorded}, or what the store throws
     */
    void await(long timeoutNs) throws LockstepException {
        try {
            written.get(timeoutNs, TimeUnit.NANOSECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof LockstepException cause
                    ? cause
                    : new LockstepException(
                            "handover-not-recorded",
                            "That the peer runs the VM cannot be written down: " + e.getCause() + ".",
                            e);
        } catch (TimeoutException e) {
            throw new LockstepException(
                    "handover-not-recorded",
                    "That the peer runs the VM was not written down within " + timeoutNs / 1_000_000_000
                            + " s: the disk with the agent's state hangs.",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new LockstepException("handover-not-recorded", "The switchover was interrupted.", e);
        }
    }

    /**
     * The VM is ours again, and stands so in the record before it runs: no later life of this agent gives it away.
     *
     * @param cause why; gets what went wrong here
     */
    void takeBack(long timeoutNs, LockstepException cause) {
        try {
            // What it writes must not come after what takes it back.
            await(timeoutNs);
        } catch (LockstepException e) {
            suppress(e, cause);
        }
        try {
            store.handingOver(NOWHERE);
        } catch (LockstepException e) {
            suppress(e, cause);
        }
    }

    private static void suppress(LockstepException e, LockstepException cause) {
        if (e != cause) {
            cause.addSuppressed(e);
        }
    }
}
