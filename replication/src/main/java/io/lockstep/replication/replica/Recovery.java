package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes up what an earlier process of this agent left, and again what could not be applied for want of room.
 *
 * <p>Invariants. A full disk loses nothing: what is committed stays in the journal until there is room. After any other failure the replica is
 * lost: the next session begins with a full copy. Metadata that cannot be read are nobody's to overwrite: sessions are refused until the operator
 * discards them.
 *
 * <p>Under the replica's lock.
 */
final class Recovery {
    private static final Logger LOG = LoggerFactory.getLogger(Recovery.class);
    private static final long STALLED_RETRY_NS = TimeUnit.SECONDS.toNanos(1);

    private final String vm;
    private final ReplicaStore store;
    private final OpenReplica open;
    private final CurrentState state;
    private final StandbyFactory standbys;
    private final LongSupplier nowNs;
    /** An earlier process of this agent had decided that the replica becomes the VM, and ended before it was. */
    private boolean promotionOwed;

    /** There is no room to apply what is committed. */
    private @Nullable LockstepException stalled;

    private long nextTryNs;
    private @Nullable LockstepException unreadable;

    Recovery(
            String vm,
            ReplicaStore store,
            OpenReplica open,
            CurrentState state,
            StandbyFactory standbys,
            LongSupplier nowNs) {
        this.vm = vm;
        this.store = store;
        this.open = open;
        this.state = state;
        this.standbys = standbys;
        this.nowNs = nowNs;
    }

    /**
     * What an earlier process left is open then, if it is of use.
     *
     * @return its metadata if it is no replica but the VM, promoted; otherwise null
     */
    @Nullable
    ReplicaMeta begin() {
        try {
            boolean usable = store.open();
            ReplicaMeta meta = store.meta();
            if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
                open.describe(meta.hello());
                if (mayHaveRun(meta)) {
                    return meta;
                }
                usable = store.open();
                promotionOwed &= usable;
                meta = store.meta();
            }
            store.endStaleStandby();
            if (usable && meta != null) {
                open.describe(meta.hello());
                goOn(meta);
            }
        } catch (LockstepException e) {
            ReplicaMeta meta = store.meta();
            if (meta == null) {
                unreadable = e;
            } else {
                store.endStaleStandby();
                open.describe(meta.hello());
            }
            failed(e);
        } catch (IOException e) {
            failed(ReplicaIo.failure(e));
        }
        return null;
    }

    /** If it cannot have run, it is a replica again that is to be promoted, which loses nothing. */
    private boolean mayHaveRun(ReplicaMeta promoted) {
        try {
            if (standbys.toldToRun(vm, new ProcessIdentity(promoted.pid(), promoted.startTicks()))) {
                return true;
            }
            // Before the record goes: of one that is neither recorded nor ended nobody knows.
            store.endStaleStandby();
            store.takeBackPromotion();
            promotionOwed = true;
            LOG.warn("{}: was to be promoted at epoch {} when the agent ended; it is now", vm, promoted.epoch());
            return false;
        } catch (LockstepException e) {
            state.error(e);
            return true;
        }
    }

    /** Whether the replica is to become the VM now, because an earlier process of this agent had decided that; says so once. */
    boolean takeOwedPromotion() {
        boolean due = promotionOwed && open.isOpen();
        promotionOwed &= !due;
        return due;
    }

    /** The VM runs elsewhere, with a session: what was decided before is past. */
    void forgetOwedPromotion() {
        promotionOwed = false;
    }

    private void goOn(ReplicaMeta meta) throws LockstepException, IOException {
        ReplicaStore.Content content = Objects.requireNonNull(store.content());
        open.begin(content);
        stalled = null;
        ReplicaMarker marker = content.marker();
        if (!marker.is(ReplicaMarker.BASELINE)) {
            open.drop();
            state.change(ReplicaState.EMPTY, now(), "the first copy was not complete when this agent ended");
            return;
        }
        open.wantStandby(meta.hello());
        ReplicaState next =
                meta.role() == ReplicaMeta.Role.RELEASED ? ReplicaState.RELEASED : ReplicaState.AWAITING_AGENT;
        state.change(next, now(), "this agent started, replica at epoch " + marker.epoch());
    }

    /** Applying failed: closes the replica, for a time or for good. */
    void failed(LockstepException cause) {
        if (ReplicaIo.wantsRoom(cause)) {
            open.drop();
            state.error(cause);
            stalled = cause;
            nextTryNs = now() + STALLED_RETRY_NS;
            state.change(ReplicaState.AWAITING_AGENT, now(), String.valueOf(cause.getMessage()));
        } else {
            lost(cause);
        }
    }

    /** Tries again once a second, while there is no room. */
    void tick(long nowNs) {
        if (stalled != null && nowNs - nextTryNs >= 0) {
            nextTryNs = nowNs + STALLED_RETRY_NS;
            if (roomAgain()) {
                LOG.info("{}: there is room again", vm);
            }
        }
    }

    /** @throws LockstepException {@code peer-disk-full}: there still is no room to apply what is committed */
    void checkRoom() throws LockstepException {
        LockstepException full = stalled;
        if (full != null && !roomAgain()) {
            throw full;
        }
    }

    /** @throws LockstepException why the metadata could not be read */
    void checkReadable() throws LockstepException {
        LockstepException cause = unreadable;
        if (cause != null) {
            throw cause;
        }
    }

    /** Whether there are metadata that could not be read. */
    boolean unreadable() {
        return unreadable != null;
    }

    /** All is removed: there is nothing to take up. */
    void forget() {
        promotionOwed = false;
        stalled = null;
        unreadable = null;
    }

    /** Whether there is no want of room any more: what was committed is applied, or lost for another cause. */
    private boolean roomAgain() {
        LockstepException cause;
        try {
            boolean usable = store.open();
            ReplicaMeta meta = store.meta();
            if (usable && meta != null) {
                goOn(meta);
                return true;
            }
            cause = EpochApplier.lost("its files are gone");
        } catch (LockstepException e) {
            cause = e;
        } catch (IOException e) {
            cause = ReplicaIo.failure(e);
        }
        if (ReplicaIo.wantsRoom(cause)) {
            open.drop();
            stalled = cause;
            return false;
        }
        stalled = null;
        lost(cause);
        return true;
    }

    private void lost(LockstepException cause) {
        promotionOwed = false;
        open.drop();
        state.error(cause);
        state.change(ReplicaState.EMPTY, now(), String.valueOf(cause.getMessage()));
    }

    private long now() {
        return nowNs.getAsLong();
    }
}
