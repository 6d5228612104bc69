package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.SessionHello;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The VM comes here: at once, or with a standby loaded and held until the primary's word.
 *
 * <p>Invariants. Once promoted it stays promoted, over restarts of this agent. A promotion that failed before the guest can have run leaves the
 * replica as it was; afterwards only the operator can know, and the state says so. A held standby is let go or thrown away, never forgotten.
 *
 * <p>Under the replica's lock; who is promoted, any thread reads.
 */
final class Takeover {
    private static final Logger LOG = LoggerFactory.getLogger(Takeover.class);

    private final String vm;
    private final ReplicaEnvironment env;
    private final OpenReplica open;
    private final Promotion promotion;
    private final Drills drills;
    private final CurrentState state;
    private final CurrentSession session;
    private volatile @Nullable PromotedVm promoted;

    Takeover(
            String vm,
            ReplicaEnvironment env,
            OpenReplica open,
            Promotion promotion,
            Drills drills,
            CurrentState state,
            CurrentSession session) {
        this.vm = vm;
        this.env = env;
        this.open = open;
        this.promotion = promotion;
        this.drills = drills;
        this.state = state;
        this.session = session;
    }

    /** The VM that runs here; null: it does not. */
    @Nullable
    PromotedVm promoted() {
        return promoted;
    }

    /** An earlier process of this agent promoted it. */
    void promotedBefore(ReplicaMeta meta, Path memoryDirectory) {
        List<Path> paths = meta.hello().ramBlocks().stream()
                .map(block -> ReplicaFiles.path(memoryDirectory, block.index()))
                .toList();
        promoted = new PromotedVm(
                vm, meta.epoch(), PromotionReason.EARLIER_DECISION, -1, -1, meta.pid(), 0, null, meta.hello(), paths);
        state.change(ReplicaState.PROMOTED, now(), "promoted at epoch " + meta.epoch() + " before this agent started");
    }

    /** The VM has ended, and what it had here is removed. */
    void forget() {
        promoted = null;
        promotion.forget();
    }

    /** Whether a standby is loaded and held. */
    boolean held() {
        return promotion.held();
    }

    /** The primary's planned switchover: loads the standby and holds it. */
    SwitchoverReady prepare(long epoch) {
        long committed = open.receiver().committedEpoch();
        if (!open.consistent() || committed != epoch) {
            return new SwitchoverReady(epoch, false, "epoch " + epoch + " is not the replica's, " + committed);
        }
        drills.abandon();
        try {
            promotion.load(open.applier(), open.applying(), epoch, now(), false);
            state.change(ReplicaState.HELD, now(), "switchover at epoch " + epoch);
            return new SwitchoverReady(epoch, true, "");
        } catch (LockstepException e) {
            state.error(e);
            return new SwitchoverReady(epoch, false, String.valueOf(e.getMessage()));
        }
    }

    /** The primary has ended the VM there. */
    void commit(long epoch) {
        if (!promotion.held()) {
            state.error(
                    "switchover-not-held", "SwitchoverCommit of epoch " + epoch + " without a standby that is held");
        }
        promoteByItself(PromotionReason.SWITCHOVER, "switchover");
    }

    /** The VM stays where it is. */
    void abort(String why) {
        try {
            promotion.abort();
        } catch (LockstepException e) {
            state.error(e);
        }
        if (state.is(ReplicaState.HELD)) {
            state.change(open.following(), now(), "switchover off: " + why);
        }
    }

    /** Throws a held standby away: a new session begins. */
    void release() throws LockstepException {
        if (promotion.held()) {
            promotion.abort();
        }
    }

    /** As {@link #promote}, with nobody to tell that it failed but the log. */
    void promoteByItself(PromotionReason why, String detail) {
        try {
            promote(why);
        } catch (LockstepException e) {
            LOG.error("{}: promotion ({}, {}) failed: {}", vm, why.label(), detail, e.getMessage());
        }
    }

    /**
     * Makes the replica the VM.
     *
     * @return the VM; at once if it was promoted before
     */
    PromotedVm promote(PromotionReason why) throws LockstepException {
        PromotedVm already = promoted;
        if (already != null) {
            return already;
        }
        // Also where it was when this was decided: a session may have begun while the fence ran.
        open.requireConsistent();
        long decidedNs = now();
        ReplicaSession from = session.get();
        long detectNs = from == null ? -1 : decidedNs - from.lastReceivedNs();
        EpochApplier applier = open.applier();
        ReplicaStore.Content content = open.content();
        SessionHello hello = Objects.requireNonNull(open.hello());
        long epoch = open.newestEpoch();
        ReplicaState before = state.get();
        drills.abandon();
        state.change(ReplicaState.PROMOTING, decidedNs, why.label());
        Standby standby = null;
        try {
            promotion.load(applier, open.applying(), epoch, decidedNs, true);
            standby = promotion.run(epoch, applier.runState());
        } catch (LockstepException e) {
            failed(before, e);
            throw e;
        }
        long tookNs = now() - decidedNs;
        PromotedVm result = new PromotedVm(
                vm,
                epoch,
                why,
                detectNs,
                tookNs,
                standby.pid(),
                env.wallMs().getAsLong(),
                standby,
                hello,
                content.files().paths());
        promoted = result;
        state.change(ReplicaState.PROMOTED, now(), why.label() + " at epoch " + epoch);
        session.forget();
        if (from != null) {
            from.promoted(epoch, tookNs);
        }
        env.listener().promoted(result);
        open.drop();
        return result;
    }

    private void failed(ReplicaState before, LockstepException cause) {
        state.error(cause);
        if (!promotion.toldToRun()) {
            abort("the promotion failed");
            ReplicaState back = before == ReplicaState.FENCING ? ReplicaState.SILENT : before;
            state.change(back, now(), "promotion failed: " + cause.getMessage());
        } else {
            // Nothing may write to what it may run on, and no other standby may come beside it.
            session.end();
            open.drop();
            state.change(ReplicaState.FAILED, now(), "the standby may or may not run: " + cause.getMessage());
        }
    }

    private long now() {
        return env.nowNs().getAsLong();
    }
}
