package io.lockstep.replication.replica;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.SessionHello;
import java.io.IOException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The replica while its files are open: the applier that brings committed epochs into them, the receiver of the session, and the standby that
 * maps them.
 *
 * <p>Invariants. They come and go together: the standby and a drill, which read the files, end before those are closed. It is called consistent
 * only while the last committed epoch is a state of the VM, and is called so no longer before the first page of a SYNC epoch is written. After an
 * error of the applier nothing more is applied, and the session is ended.
 *
 * <p>Any thread reads; all else is done under the replica's lock.
 */
final class OpenReplica {
    private final String vm;
    private final ReplicaStore store;
    private final AppliedWait.Factory waits;
    private final StandbyKeeper keeper;
    private final Drills drills;
    private final ScrubListener scrubs;
    private final CurrentState state;
    private final CurrentSession session;
    private volatile boolean consistent;
    private volatile @Nullable EpochApplier applier;
    private volatile @Nullable EpochReceiver receiver;
    private volatile ReplicaStore.@Nullable Content content;
    private volatile @Nullable AppliedWait applying;
    private volatile @Nullable LockstepException applyFailure;
    private volatile @Nullable SessionHello hello;

    OpenReplica(
            String vm,
            ReplicaStore store,
            AppliedWait.Factory waits,
            StandbyKeeper keeper,
            Drills drills,
            ScrubListener scrubs,
            CurrentState state,
            CurrentSession session) {
        this.vm = vm;
        this.store = store;
        this.waits = waits;
        this.keeper = keeper;
        this.drills = drills;
        this.scrubs = scrubs;
        this.state = state;
        this.session = session;
    }

    /** Applies what the journal holds of it, as after a restart, and begins to apply what comes. */
    void begin(ReplicaStore.Content opened) throws LockstepException, IOException {
        EpochApplier fresh = new EpochApplier(opened, scrubs);
        applier = fresh;
        content = opened;
        fresh.recover();
        applying = waits.create(vm, fresh, this::applyFailed);
        consistent =
                opened.marker().is(ReplicaMarker.BASELINE) && !opened.marker().is(ReplicaMarker.SYNCING);
    }

    /** Takes what a session sends from now on. */
    EpochReceiver receive(EpochReceiver.AckSink acks, ReplicaConfig config) {
        EpochReceiver fresh =
                new EpochReceiver(content(), applier(), applying(), acks, config.ackLevel(), config.applyLagMax());
        receiver = fresh;
        consistent = fresh.consistent();
        return fresh;
    }

    /** From now on a standby of the VM as it is described is kept ready. */
    void wantStandby(SessionHello wanted) {
        ReplicaStore.Content open = content();
        keeper.want(wanted, open.files(), open.pages().paths());
    }

    /** Closes what is open; the files stay. */
    void drop() {
        keeper.unwant();
        drills.abandon();
        AppliedWait running = applying;
        applying = null;
        if (running instanceof ApplierThread thread) {
            thread.close();
        }
        EpochApplier old = applier;
        applier = null;
        receiver = null;
        content = null;
        consistent = false;
        applyFailure = null;
        if (old != null) {
            old.close();
        }
        store.close();
    }

    /** Called by whoever applies: nothing more is applied. */
    private void applyFailed(LockstepException cause) {
        applyFailure = cause;
        state.error(cause);
        session.stop();
    }

    /** Why nothing is applied any more; null: epochs are. */
    @Nullable
    LockstepException applyFailure() {
        return applyFailure;
    }

    /**
     * After the beginning or the end of an epoch.
     *
     * @return whether it has become consistent, or ceased to be
     */
    boolean consistencyChanged() {
        boolean now = receiver().consistent();
        boolean changed = consistent != now;
        consistent = now;
        return changed;
    }

    boolean consistent() {
        return consistent;
    }

    /** @throws LockstepException {@code replica-not-consistent}: there is nothing that could be promoted */
    void requireConsistent() throws LockstepException {
        if (!isOpen() || !consistent) {
            throw new LockstepException(
                    "replica-not-consistent",
                    "Replica " + vm + " holds no consistent state (" + state.described() + "): it cannot be promoted.");
        }
    }

    /** What a replica with a session is. */
    ReplicaState following() {
        return consistent ? ReplicaState.PROTECTED : ReplicaState.SYNCING;
    }

    boolean isOpen() {
        return content != null;
    }

    ReplicaStore.@Nullable Content contentIfOpen() {
        return content;
    }

    ReplicaStore.Content content() {
        return Objects.requireNonNull(content);
    }

    EpochApplier applier() {
        return Objects.requireNonNull(applier);
    }

    AppliedWait applying() {
        return Objects.requireNonNull(applying);
    }

    EpochReceiver receiver() {
        return Objects.requireNonNull(receiver);
    }

    /** Last epoch that will be in the files: the newest whole one, applied or journaled. */
    long newestEpoch() {
        return Math.max(applier().applied(), content().journal().newestEpoch());
    }

    /** Last epoch that is in the files; -1 if nothing is open. */
    long appliedEpoch() {
        EpochApplier running = applier;
        return running == null ? -1 : running.applied();
    }

    /** Last whole epoch of the session, or what is applied if there was none. */
    long committedEpoch() {
        EpochReceiver current = receiver;
        long applied = appliedEpoch();
        return current == null ? applied : Math.max(applied, current.committedEpoch());
    }

    /** How regularly its applier comes round; null if none runs. */
    @Nullable
    DutyCycle applierRounds() {
        return applying instanceof ApplierThread thread ? thread.rounds() : null;
    }

    /** The VM as its primary described it last, also when nothing is open any more; null: never. */
    @Nullable
    SessionHello hello() {
        return hello;
    }

    void describe(SessionHello described) {
        hello = described;
    }
}
