package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.wire.RunState;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes a replica the VM: {@link #load} brings the standby to the committed epoch and holds it, {@link #run} lets it go.
 *
 * <p>Invariant: the standby runs only after the metadata on disk says PROMOTED, so that no later process of this agent takes the running
 * VM for a replica. The sync of that record and the load of the device state go on at the same time.
 *
 * <p>One thread at a time.
 */
final class Promotion {
    private static final Logger LOG = LoggerFactory.getLogger(Promotion.class);
    private static final int ATTEMPTS = 2; // a standby that cannot load is replaced once
    private static final long PERSIST_MS_MAX = 30_000; // a disk that syncs no 4 KiB in this time is broken

    private final ReplicaStore store;
    private final StandbyKeeper keeper;
    private @Nullable Standby loaded;
    private boolean toldToRun;
    private @Nullable FutureTask<Boolean> persisting;

    Promotion(ReplicaStore store, StandbyKeeper keeper) {
        this.store = store;
        this.keeper = keeper;
    }

    /** Whether a standby is loaded and held. */
    boolean held() {
        return loaded != null;
    }

    /**
     * Loads the standby; does nothing if it is loaded.
     *
     * @param persist whether to begin to write PROMOTED at the same time
     */
    void load(EpochApplier applier, AppliedWait wait, long epoch, long nowNs, boolean persist)
            throws LockstepException {
        if (loaded != null) {
            return;
        }
        wait.await(epoch);
        LockstepException last = null;
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            try {
                Standby standby = keeper.prepare(nowNs);
                if (persist) {
                    persist(epoch, standby);
                }
                standby.load(applier.deviceState());
                loaded = standby;
                return;
            } catch (LockstepException e) {
                last = e;
            } catch (IOException e) {
                last = new LockstepException("replica-io", "The replica cannot be read: " + e, e);
            }
            LOG.warn("standby of {} failed to load epoch {}: {}", store.memoryDirectory(), epoch, last.getMessage());
            awaitPersisted();
            keeper.replace();
        }
        throw Objects.requireNonNull(last);
    }

    /**
     * Lets the loaded standby run, unless the VM was paused.
     *
     * @return the QEMU that is the VM now
     */
    Standby run(long epoch, RunState runState) throws LockstepException {
        Standby standby = Objects.requireNonNull(loaded);
        if (persisting == null) {
            persist(epoch, standby);
        }
        LockstepException failed = awaitPersisted();
        if (failed != null) {
            throw failed;
        }
        if (runState == RunState.RUNNING) {
            standby.recordOrder();
            toldToRun = true;
            loaded = null;
            standby.run();
        }
        loaded = null;
        standby.release();
        keeper.release();
        return standby;
    }

    /** Whether a standby was told to run, with or without success: nobody may take the replica for one from then on. */
    boolean toldToRun() {
        return toldToRun;
    }

    /** The VM has ended that was promoted, or this is another one: none was told to run. */
    void forget() {
        toldToRun = false;
    }

    /** Throws a loaded standby away and takes PROMOTED back; nothing happens if one was told to run, which may be the VM. */
    void abort() throws LockstepException {
        if (toldToRun) {
            return;
        }
        loaded = null;
        awaitPersisted();
        keeper.replace();
        ReplicaMeta meta = store.meta();
        if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
            store.store(new ReplicaMeta(ReplicaMeta.Role.REPLICA, -1, 0, 0, meta.fingerprint(), meta.hello()));
        }
    }

    private void persist(long epoch, Standby standby) {
        awaitPersisted();
        ReplicaMeta promoted =
                Objects.requireNonNull(store.meta()).promoted(epoch, standby.pid(), startTicks(standby.pid()));
        FutureTask<Boolean> task = new FutureTask<>(() -> {
            store.store(promoted);
            return true;
        });
        persisting = task;
        Thread thread = new Thread(task, "promoted-meta");
        thread.setDaemon(true);
        thread.start();
    }

    private @Nullable LockstepException awaitPersisted() {
        FutureTask<Boolean> task = persisting;
        persisting = null;
        if (task == null) {
            return null;
        }
        try {
            task.get(PERSIST_MS_MAX, TimeUnit.MILLISECONDS);
            return null;
        } catch (ExecutionException e) {
            return e.getCause() instanceof LockstepException cause
                    ? cause
                    : new LockstepException("replica-io", "The promotion cannot be recorded: " + e.getCause(), e);
        } catch (TimeoutException e) {
            return new LockstepException(
                    "replica-io",
                    "The promotion could not be recorded within " + PERSIST_MS_MAX + " ms: the disk hangs.",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new LockstepException("replica-io", "The promotion was interrupted.", e);
        }
    }

    private static long startTicks(long pid) {
        try {
            return ProcessIdentity.of(pid).startTicks();
        } catch (IOException e) {
            return 0; // it died: the run will say so
        }
    }
}
