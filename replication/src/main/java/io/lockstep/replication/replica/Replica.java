package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.Page;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.HelloStatus;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One VM's replica on this host, over all sessions: what it holds, what its primary seems to be, and when it becomes the VM.
 *
 * <p>Invariants, the table "Who is dead?" of the design. It promotes by itself only when the primary says that the VM died, or when the
 * fence command says that the silent host cannot run it. It never fences what it could not promote. A closed connection is an agent that
 * crashed on a host that lives: it waits. Once promoted it stays promoted, over restarts, and tells a returning primary so.
 *
 * <p>All methods are synchronized, but for the status; the fence command runs without the lock.
 */
final class Replica implements ScrubListener, StandbyKeeper.Events, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Replica.class);

    private static final long STALLED_RETRY_NS = TimeUnit.SECONDS.toNanos(1);

    private final ReplicaEnvironment env;
    private final String vm;
    private final AppliedWait.Factory waits;
    private final ReplicaCounters counters = new ReplicaCounters();
    private final ReplicaStore store;
    private final StandbyKeeper keeper;
    private final Promotion promotion;
    private volatile ReplicaState state = ReplicaState.EMPTY;
    private volatile String reason = "no session yet";
    private volatile long sinceMs;
    private volatile long sinceNs;
    private volatile boolean consistent;
    private volatile boolean caughtUp;
    private volatile @Nullable EpochApplier applier;
    private volatile @Nullable EpochReceiver receiver;
    private volatile ReplicaStore.@Nullable Content content;
    private volatile @Nullable ReplicaSession session;
    private volatile @Nullable PromotedVm promoted;
    private volatile @Nullable LockstepException applyFailure;
    private volatile @Nullable LockstepException openFailure;
    private volatile @Nullable SessionHello hello;
    private @Nullable Drill drill;
    private volatile DrillReport drillReport = new DrillReport(0, DrillReport.NONE, "");
    private volatile LastError lastError = new LastError("", "", 0);
    private volatile @Nullable AppliedWait wait;
    private final DutyCycle sessionRounds = DutyCycle.idle();
    private final DutyCycle liveRounds = DutyCycle.idle();
    private final DutyCycle drillDiskRounds = DutyCycle.idle();
    /** There is no room to apply what is committed: it stays in the journal until there is. */
    private @Nullable LockstepException stalled;

    private long nextTryNs;
    private long nextFenceNs;

    private final AtomicReference<@Nullable LinkError> standbyFailure = new AtomicReference<>();

    private record LastError(String code, String message, long atMs) {}

    /** @param waits makes the way to run an applier: a thread, or in a simulation the caller's own */
    Replica(ReplicaEnvironment env, String vm, AppliedWait.Factory waits) {
        this.env = env;
        this.vm = vm;
        this.waits = waits;
        store = new ReplicaStore(env.config(), vm, env.boot(), env.wallMs());
        keeper = new StandbyKeeper(vm, env.standbys(), counters, this);
        promotion = new Promotion(store, keeper);
        sinceMs = env.wallMs().getAsLong();
        sinceNs = env.nowNs().getAsLong();
    }

    /** Its VM's name. */
    String vm() {
        return vm;
    }

    /** Takes up what an earlier process of this agent left. */
    synchronized void open() {
        try {
            boolean usable = store.open();
            ReplicaMeta meta = store.meta();
            if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
                hello = meta.hello();
                promoted = promotedBefore(meta);
                state(ReplicaState.PROMOTED, now(), "promoted at epoch " + meta.epoch() + " before this agent started");
                return;
            }
            store.endStaleStandby();
            if (!usable || meta == null) {
                return;
            }
            hello = meta.hello();
            begin(Objects.requireNonNull(store.content()));
            resumeAfterRestart(meta);
        } catch (LockstepException e) {
            if (store.meta() == null) {
                openFailure = e;
            }
            lost(e);
        } catch (IOException e) {
            lost(new LockstepException("replica-io", "The replica cannot be read: " + e, e));
        }
    }

    private void resumeAfterRestart(ReplicaMeta meta) {
        ReplicaMarker marker = Objects.requireNonNull(content).marker();
        if (!marker.is(ReplicaMarker.BASELINE)) {
            drop();
            state(ReplicaState.EMPTY, now(), "the first copy was not complete when this agent ended");
            return;
        }
        consistent = !marker.is(ReplicaMarker.SYNCING);
        keeper.want(
                meta.hello(),
                Objects.requireNonNull(content).files(),
                content.pages().paths());
        ReplicaState next =
                meta.role() == ReplicaMeta.Role.RELEASED ? ReplicaState.RELEASED : ReplicaState.AWAITING_AGENT;
        state(next, now(), "this agent started, replica at epoch " + marker.epoch());
    }

    /**
     * Answers a Hello and, if it is accepted, makes the session the replica's own; an older one is ended.
     *
     * @return the reply to send; with RESUME or FULL the session is open
     */
    synchronized SessionReply hello(SessionHello wanted, ReplicaSession opening, String fingerprint) {
        LockstepException failure = applyFailure;
        if (failure != null) {
            failed(failure);
        }
        LockstepException full = stalled;
        if (full != null && !goesOn()) {
            return refuse(full);
        }
        LockstepException unreadable = openFailure;
        if (unreadable != null) {
            return refuse(unreadable);
        }
        try {
            ReplicaMeta meta = store.meta();
            if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
                if (sameVm(meta.hello(), wanted)) {
                    return reply(HelloStatus.PROMOTED, meta.epoch());
                }
                if (new ProcessIdentity(meta.pid(), meta.startTicks()).alive()) {
                    return refuse(new LockstepException(
                            "vm-runs-here",
                            "VM " + vm + " runs on this host (pid " + meta.pid() + ") since it was promoted at epoch "
                                    + meta.epoch() + ". Protect it from here, or give the other VM another name."));
                }
            } else if (meta != null && content != null && !meta.fingerprint().equals(fingerprint)) {
                return refuse(new LockstepException(
                        "replica-other-primary",
                        "Replica " + vm + " is of the primary " + meta.fingerprint() + ", not " + fingerprint
                                + ". End its protection there, or `lockstep discard " + vm + "` here."));
            }
            LockstepException unwanted = content == null ? env.condition().refusal(vm) : null;
            return unwanted == null ? open(wanted, opening, fingerprint) : refuse(unwanted);
        } catch (LockstepException e) {
            return refuse(e);
        } catch (IOException e) {
            return refuse(new LockstepException("replica-io", "The replica cannot be read: " + e, e));
        }
    }

    private SessionReply open(SessionHello wanted, ReplicaSession opening, String fingerprint)
            throws LockstepException, IOException {
        if (!wanted.sharedDisks().isEmpty() && env.fence() == null) {
            throw new LockstepException(
                    "shared-disk-no-fence",
                    "VM " + vm + " has disks that both hosts see, " + String.join(", ", wanted.sharedDisks())
                            + ", and this peer has no fence command: nothing would keep two QEMUs from writing to them. Configure"
                            + " [fence] command on the peer, or remove their `shared = true` so that they are copied.");
        }
        ReplicaSession old = session;
        if (old != null) {
            session = null;
            old.end();
        }
        if (promotion.held()) {
            promotion.abort();
        }
        boolean resume = resumable(wanted);
        if (!resume) {
            keeper.unwant();
            drop();
            promoted = null;
            counters.fullCopies.incrementAndGet();
            create(wanted, fingerprint);
        } else if (Objects.requireNonNull(store.meta()).role() == ReplicaMeta.Role.RELEASED) {
            store.store(Objects.requireNonNull(store.meta()).with(ReplicaMeta.Role.REPLICA));
        }
        hello = wanted;
        standbyFailure.set(null);
        ReplicaStore.Content open = Objects.requireNonNull(content);
        EpochReceiver fresh = new EpochReceiver(
                open,
                Objects.requireNonNull(applier),
                Objects.requireNonNull(wait),
                opening,
                env.config().ackLevel(),
                env.config().applyLagMax());
        receiver = fresh;
        consistent = fresh.consistent();
        // Since its last epoch the VM may have sent what nobody held back: an agent was away, or the link.
        caughtUp = false;
        keeper.want(wanted, open.files(), open.pages().paths());
        session = opening;
        counters.sessions.incrementAndGet();
        long epoch = fresh.committedEpoch();
        state(follow(), now(), resume ? "session resumes after epoch " + epoch : "session begins with a full copy");
        return reply(resume ? HelloStatus.RESUME : HelloStatus.FULL, resume ? epoch : -1);
    }

    /** Nothing is left of a replica that cannot be made. */
    private void create(SessionHello wanted, String fingerprint) throws LockstepException, IOException {
        boolean done = false;
        try {
            begin(store.create(wanted, fingerprint));
            done = true;
        } finally {
            if (!done) {
                drop();
                store.discard();
            }
        }
    }

    private boolean resumable(SessionHello wanted) throws LockstepException {
        SessionHello known = hello;
        ReplicaStore.Content open = content;
        if (known == null
                || open == null
                || !sameVm(known, wanted)
                || !known.ramBlocks().equals(wanted.ramBlocks())
                || !known.disks().equals(wanted.disks())) {
            return false;
        }
        EpochApplier running = Objects.requireNonNull(applier);
        long committed = Math.max(running.applied(), open.journal().newestEpoch());
        Objects.requireNonNull(wait).await(committed);
        return open.marker().is(ReplicaMarker.BASELINE)
                && committed >= wanted.lastAckedEpoch()
                && committed <= wanted.lastSentEpoch();
    }

    /** An epoch began or ended in this session. */
    synchronized void progress(boolean ended) {
        EpochReceiver current = Objects.requireNonNull(receiver);
        if (ended) {
            counters.epochsCommitted.incrementAndGet();
            caughtUp |= current.consistent();
        }
        if (consistent != current.consistent()) {
            consistent = current.consistent();
            state(
                    follow(),
                    now(),
                    consistent ? "epoch " + current.committedEpoch() + " is consistent" : "SYNC epochs come");
        } else if (promotion.held()) {
            LOG.info("{}: epochs come though the standby is held: the switchover is off", vm);
            switchoverAbort("epochs come again");
        }
    }

    /** Something came from the primary. */
    void heard(ReplicaSession from) {
        if (state == ReplicaState.SILENT) {
            synchronized (this) {
                if (session == from && state == ReplicaState.SILENT) {
                    state(promotion.held() ? ReplicaState.HELD : follow(), now(), "the primary speaks again");
                }
            }
        }
    }

    /** Nothing came from the primary within the session's wait; fences and promotes when it is time. */
    void quiet(ReplicaSession from, long nowNs) {
        SessionHello known = hello;
        synchronized (this) {
            long silentNs = nowNs - from.lastReceivedNs();
            if (session != from
                    || known == null
                    || silentNs < TimeUnit.MILLISECONDS.toNanos(known.failureTimeoutMs())) {
                return;
            }
            if (state == ReplicaState.SILENT && nowNs - nextFenceNs < 0) {
                return;
            }
            nextFenceNs = nowNs + TimeUnit.MILLISECONDS.toNanos(env.config().fenceRetryMs());
            String silent = "nothing from the primary for " + TimeUnit.NANOSECONDS.toMillis(silentNs)
                    + " ms > failureTimeoutMs " + known.failureTimeoutMs();
            String obstacle = silentNs > promotionWindowNs(known) ? tooLate(known) : obstacle();
            if (obstacle != null) {
                state(ReplicaState.SILENT, nowNs, silent + "; " + obstacle);
                return;
            }
            state(ReplicaState.FENCING, nowNs, silent);
        }
        Fence.Outcome outcome = runFence();
        if (outcome.fenced()) {
            from.drain();
        }
        synchronized (this) {
            if (session != from || state != ReplicaState.FENCING) {
                return;
            }
            if (outcome.fenced() && now() - from.lastReceivedNs() > promotionWindowNs(known)) {
                state(ReplicaState.SILENT, now(), "fenced, but " + tooLate(known));
                return;
            }
            if (!outcome.fenced()) {
                error("fence-failed", outcome.detail());
                nextFenceNs = now() + TimeUnit.MILLISECONDS.toNanos(env.config().fenceRetryMs());
                state(ReplicaState.SILENT, now(), "not fenced: " + outcome.detail());
                return;
            }
            promoteByItself(PromotionReason.HOST_SILENT, outcome.detail());
        }
    }

    /** How long the primary's silence may last for a promotion without the operator; its primary lets its output go later than that. */
    private long promotionWindowNs(SessionHello known) {
        return TimeUnit.MILLISECONDS.toNanos(promotionWindowMs(known));
    }

    private long promotionWindowMs(SessionHello known) {
        return env.fence() == null ? 0 : known.failureTimeoutMs() + env.config().fenceTimeoutMs();
    }

    private String tooLate(SessionHello known) {
        return env.fence() == null
                ? Objects.requireNonNull(obstacle())
                : "the silence is longer than " + promotionWindowMs(known)
                        + " ms (failureTimeoutMs and the fence's timeoutMs), so that the primary, if it lives, has let its"
                        + " output go: `lockstep failover --force` promotes";
    }

    private @Nullable String obstacle() {
        if (env.fence() == null) {
            return "no fence command is configured: `lockstep failover --force` promotes";
        }
        if (!consistent) {
            return "the replica is not consistent: it cannot be promoted";
        }
        if (!caughtUp && !promotion.held()) {
            return "no epoch of this session is committed, and what the VM did before may have been seen: `lockstep failover"
                    + " --force` promotes";
        }
        return promotion.held() || keeper.ready() ? null : "no standby is ready: nothing is fenced";
    }

    private Fence.Outcome runFence() {
        Fence fence = env.fence();
        if (fence == null) {
            return new Fence.Outcome(false, "no fence command is configured");
        }
        counters.fenceRuns.incrementAndGet();
        return fence.fence(vm);
    }

    /** The session's connection ended. */
    synchronized void closed(ReplicaSession from, String why) {
        if (session != from) {
            return;
        }
        session = null;
        LockstepException failure = applyFailure;
        if (failure != null) {
            failed(failure);
            return;
        }
        if (promotion.held()) {
            switchoverAbort("the connection ended");
        }
        switch (state) {
            case SYNCING, PROTECTED, HELD, FENCING ->
                state(ReplicaState.AWAITING_AGENT, now(), "connection closed without a goodbye: " + why);
            case SILENT -> state(ReplicaState.SILENT, now(), "connection ended after a silence: " + why);
            default -> LOG.info("{}: connection ended: {}", vm, why);
        }
    }

    /** Time passes: called some times a second. */
    synchronized void tick(long nowNs) {
        LockstepException failure = applyFailure;
        if (failure != null && session == null) {
            failed(failure);
        }
        if (stalled != null && nowNs - nextTryNs >= 0) {
            nextTryNs = nowNs + STALLED_RETRY_NS;
            if (goesOn()) {
                LOG.info("{}: there is room again", vm);
            }
        }
        SessionHello known = hello;
        if (state == ReplicaState.AWAITING_AGENT
                && known != null
                && nowNs - sinceNs > TimeUnit.MILLISECONDS.toNanos(known.agentRestartMs())) {
            state(
                    ReplicaState.PRIMARY_AGENT_LOST,
                    nowNs,
                    "the primary's agent did not come back within agentRestartMs " + known.agentRestartMs());
        }
    }

    /** Spawns and refreshes the standby. */
    void keepStandby(long nowNs) {
        keeper.doWork(nowNs);
        keeper.fillPageTables(nowNs);
    }

    synchronized void vmDied(VmDied message) {
        EpochReceiver current = Objects.requireNonNull(receiver);
        if (!consistent) {
            state(
                    ReplicaState.PRIMARY_AGENT_LOST,
                    now(),
                    "the VM died (" + message.reason() + ") and the replica is not consistent");
        } else if (current.committedEpoch() < message.committedEpoch()) {
            error(
                    "replica-behind",
                    "The VM died; the replica's epoch " + current.committedEpoch() + " < " + message.committedEpoch()
                            + " acknowledged: not promoted. `lockstep failover --force` promotes the older state.");
            state(ReplicaState.PRIMARY_AGENT_LOST, now(), "the VM died and the replica is behind");
        } else {
            promoteByItself(PromotionReason.VM_DIED, message.reason());
        }
    }

    synchronized void goodbye(String why) {
        state(ReplicaState.AWAY, now(), why);
    }

    synchronized void released(boolean discard, String why) throws LockstepException {
        session = null;
        ReplicaMeta meta = store.meta();
        if (discard || meta == null) {
            keeper.unwant();
            drop();
            store.discard();
            state(ReplicaState.EMPTY, now(), why);
        } else {
            store.store(meta.with(ReplicaMeta.Role.RELEASED));
            state(ReplicaState.RELEASED, now(), why);
        }
    }

    synchronized SwitchoverReady switchoverPrepare(long epoch) {
        long committed = Objects.requireNonNull(receiver).committedEpoch();
        if (!consistent || committed != epoch) {
            return new SwitchoverReady(epoch, false, "epoch " + epoch + " is not the replica's, " + committed);
        }
        abandonDrill();
        try {
            promotion.load(Objects.requireNonNull(applier), Objects.requireNonNull(wait), epoch, now(), false);
            state(ReplicaState.HELD, now(), "switchover at epoch " + epoch);
            return new SwitchoverReady(epoch, true, "");
        } catch (LockstepException e) {
            error(e.code(), String.valueOf(e.getMessage()));
            return new SwitchoverReady(epoch, false, String.valueOf(e.getMessage()));
        }
    }

    synchronized void switchoverCommit(long epoch) {
        if (!promotion.held()) {
            error("switchover-not-held", "SwitchoverCommit of epoch " + epoch + " without a standby that is held");
        }
        promoteByItself(PromotionReason.SWITCHOVER, "switchover");
    }

    synchronized void switchoverAbort(String why) {
        try {
            promotion.abort();
        } catch (LockstepException e) {
            error(e.code(), String.valueOf(e.getMessage()));
        }
        if (state == ReplicaState.HELD) {
            state(follow(), now(), "switchover off: " + why);
        }
    }

    /**
     * The operator's failover.
     *
     * @param force without fencing, also of a released replica; with a shared disk nothing is promoted without fencing
     * @throws LockstepException {@code replica-not-consistent}, {@code primary-alive}, {@code replica-released}, {@code fence-missing},
     *     {@code fence-failed}, {@code shared-disk-not-fenced}, and what the promotion throws
     */
    PromotedVm failover(boolean force) throws LockstepException {
        synchronized (this) {
            PromotedVm already = promoted;
            if (already != null) {
                return already;
            }
            LockstepException full = stalled;
            if (full != null && !goesOn()) {
                throw full;
            }
            checkFailover(force);
        }
        List<String> shared = sharedDisks();
        if (force && !shared.isEmpty()) {
            Fence.Outcome outcome = runFence();
            if (!outcome.fenced()) {
                throw new LockstepException(
                        "shared-disk-not-fenced",
                        "VM " + vm + " is not promoted: " + outcome.detail() + ". Both hosts see its disks "
                                + String.join(", ", shared)
                                + ", and two QEMUs that write to them destroy them: not even --force goes on without the fence."
                                + " Mend the fence command.");
            }
        } else if (!force) {
            Fence.Outcome outcome = runFence();
            if (!outcome.fenced()) {
                throw new LockstepException(
                        "fence-failed",
                        "VM " + vm + " is not promoted: " + outcome.detail()
                                + ". Mend the fence command, or use --force.");
            }
        }
        synchronized (this) {
            PromotedVm already = promoted;
            return already != null ? already : promote(force ? PromotionReason.FORCED : PromotionReason.FAILOVER);
        }
    }

    /**
     * Resumes a second standby from the replica, sees that its guest runs, and throws it away. In nobody's way: whatever needs the replica
     * ends the drill.
     *
     * @throws LockstepException {@code drill-unavailable}, {@code drill-runs-already}, {@code drill-not-consistent}, and those of
     *     {@link Drill#run}
     */
    DrillResult drill() throws LockstepException {
        Drill own;
        AppliedWait applying;
        synchronized (this) {
            DrillFactory factory = env.drills();
            if (factory == null) {
                throw new LockstepException("drill-unavailable", "This host makes no drills.");
            }
            if (drill != null) {
                throw new LockstepException(
                        "drill-runs-already", "A drill of " + vm + " runs already. Wait until it has ended.");
            }
            ReplicaStore.Content open = content;
            EpochApplier running = applier;
            SessionHello known = hello;
            AppliedWait waits = wait;
            if (open == null || running == null || known == null || waits == null || !consistent || promotion.held()) {
                throw new LockstepException(
                        "drill-not-consistent",
                        "Replica " + vm + " holds no state to resume (" + state.label() + ": " + reason
                                + "). Try again when the VM is protected.");
            }
            if (!known.sharedDisks().isEmpty()) {
                throw new LockstepException(
                        "drill-shared-disk",
                        "Both hosts see disks of " + vm + ", " + String.join(", ", known.sharedDisks())
                                + ", and its primary writes to them: a second standby must not open them. Such a VM has no drills.");
            }
            applying = waits;
            own = new Drill(env.config(), factory, known, open, running, () -> consistent, drillDiskRounds);
            drill = own;
        }
        try {
            return own.run(applying::committed);
        } finally {
            synchronized (this) {
                drill = null;
            }
        }
    }

    /** What the primary is told of drills here; any thread. */
    void drillReport(DrillReport report) {
        drillReport = report;
    }

    DrillReport drillReport() {
        return drillReport;
    }

    private void abandonDrill() {
        Drill running = drill;
        if (running != null) {
            running.abandon();
        }
    }

    private List<String> sharedDisks() {
        SessionHello known = hello;
        return known == null ? List.of() : known.sharedDisks();
    }

    private void checkFailover(boolean force) throws LockstepException {
        if (content == null || !consistent) {
            throw new LockstepException(
                    "replica-not-consistent",
                    "Replica " + vm + " holds no consistent state (" + state.label() + ": " + reason
                            + "): it cannot be promoted.");
        }
        if (force) {
            return;
        }
        if (state == ReplicaState.RELEASED) {
            throw new LockstepException(
                    "replica-released",
                    "The primary of " + vm + " runs it unprotected: " + reason + ". --force promotes all the same.");
        }
        if (session != null && state != ReplicaState.SILENT) {
            throw new LockstepException(
                    "primary-alive",
                    "The primary of " + vm
                            + " is connected and runs it. Use `lockstep switchover` there, or --force here.");
        }
        if (env.fence() == null) {
            throw new LockstepException(
                    "fence-missing",
                    "No fence command is configured: nothing says that the other host cannot run " + vm
                            + ". Configure one, or make sure of it and use --force.");
        }
    }

    /**
     * Removes the replica, or the memory of a promotion whose VM has ended.
     *
     * @throws LockstepException {@code replica-unknown}, {@code vm-runs-here}, {@code primary-alive}
     */
    synchronized void discard() throws LockstepException {
        ReplicaMeta meta = store.meta();
        if (meta == null && openFailure == null) {
            throw ReplicaHost.unknown(vm);
        }
        if (meta != null
                && meta.role() == ReplicaMeta.Role.PROMOTED
                && new ProcessIdentity(meta.pid(), meta.startTicks()).alive()) {
            throw new LockstepException(
                    "vm-runs-here",
                    "VM " + vm + " runs here (pid " + meta.pid()
                            + ") in the replica's memory. End it first, or switch it over to another host.");
        }
        if (session != null) {
            throw new LockstepException(
                    "primary-alive",
                    "The primary of " + vm + " is connected and replicates it here. Use `lockstep unprotect " + vm
                            + "` there.");
        }
        keeper.unwant();
        drop();
        store.discard();
        promoted = null;
        stalled = null;
        openFailure = null;
        lastError = new LastError("", "", 0);
        state(ReplicaState.EMPTY, now(), "discarded");
    }

    private void promoteByItself(PromotionReason why, String detail) {
        try {
            promote(why);
        } catch (LockstepException e) {
            LOG.error("{}: promotion ({}, {}) failed: {}", vm, why.label(), detail, e.getMessage());
        }
    }

    private PromotedVm promote(PromotionReason why) throws LockstepException {
        PromotedVm already = promoted;
        if (already != null) {
            return already;
        }
        long decidedNs = now();
        ReplicaSession open = session;
        long detectNs = open == null ? -1 : decidedNs - open.lastReceivedNs();
        EpochApplier running = Objects.requireNonNull(applier);
        ReplicaStore.Content held = Objects.requireNonNull(content);
        SessionHello known = Objects.requireNonNull(hello);
        long epoch = Math.max(running.applied(), held.journal().newestEpoch());
        ReplicaState before = state;
        abandonDrill();
        state(ReplicaState.PROMOTING, decidedNs, why.label());
        Standby standby = null;
        try {
            promotion.load(running, Objects.requireNonNull(wait), epoch, decidedNs, true);
            standby = promotion.run(epoch, running.runState());
        } catch (LockstepException e) {
            promotionFailed(before, e);
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
                known,
                held.files().paths());
        promoted = result;
        state(ReplicaState.PROMOTED, now(), why.label() + " at epoch " + epoch);
        session = null;
        if (open != null) {
            open.promoted(epoch, tookNs);
        }
        env.listener().promoted(result);
        drop();
        return result;
    }

    private void promotionFailed(ReplicaState before, LockstepException cause) {
        error(cause.code(), String.valueOf(cause.getMessage()));
        if (!promotion.toldToRun()) {
            switchoverAbort("the promotion failed");
            ReplicaState back = before == ReplicaState.FENCING ? ReplicaState.SILENT : before;
            state(back, now(), "promotion failed: " + cause.getMessage());
        } else {
            state(ReplicaState.FAILED, now(), "the standby may or may not run: " + cause.getMessage());
        }
    }

    /** Snapshot; any thread, waits for nothing. */
    ReplicaStatus status() {
        ReplicaStore.Content open = content;
        EpochApplier running = applier;
        EpochReceiver current = receiver;
        ReplicaSession now = session;
        SessionHello known = hello;
        PromotedVm done = promoted;
        LastError error = lastError;
        long applied = done != null ? done.epoch() : running == null ? -1 : running.applied();
        long committed = current == null ? applied : Math.max(applied, current.committedEpoch());
        return new ReplicaStatus(
                vm,
                state,
                reason,
                sinceMs,
                open != null && consistent,
                store.meta() == null ? "" : Objects.requireNonNull(store.meta()).fingerprint(),
                known == null ? 0 : known.ramBytes(),
                done != null ? done.epoch() : committed,
                applied,
                env.config().ackLevel(),
                open == null ? 0 : open.journal().epochCount(),
                open == null ? 0 : open.journal().bytes(),
                keeper.ready(),
                keeper.pid(),
                now == null ? -1 : now() - now.lastReceivedNs(),
                now == null ? ReportedHealth.UNKNOWN : now.primaryHealth(),
                done,
                error.code(),
                error.message(),
                error.atMs(),
                counters.snapshot());
    }

    /** The open replica's journal and files; null if there is none. */
    ReplicaStore.@Nullable Content content() {
        return content;
    }

    /** How regularly its applier comes round; null if none runs. Any thread. */
    @Nullable
    DutyCycle applierRounds() {
        return wait instanceof ApplierThread thread ? thread.rounds() : null;
    }

    /** How regularly the thread of its session comes round. Any thread. */
    DutyCycle sessionRounds() {
        return sessionRounds;
    }

    /** How regularly the thread beside that comes round, which says that this host is here. Any thread. */
    DutyCycle liveRounds() {
        return liveRounds;
    }

    /** How long the disks of its drills take for what their QEMU asks. Any thread. */
    DutyCycle drillDiskRounds() {
        return drillDiskRounds;
    }

    EpochReceiver receiver() {
        return Objects.requireNonNull(receiver);
    }

    boolean standbyReady() {
        return keeper.ready();
    }

    @Override
    public void scrubbed(long pages) {
        counters.scrubbedPages.addAndGet(pages);
    }

    @Override
    public void scrubMismatch(long epoch, List<Page> differing) {
        counters.scrubMismatches.addAndGet(differing.size());
        LOG.error(
                "{}: {} pages differ from the primary's at epoch {}, first {}",
                vm,
                differing.size(),
                epoch,
                differing.get(0));
        ReplicaSession open = session;
        if (open != null) {
            open.send(new ScrubMismatch(epoch, differing));
        }
        env.listener().scrubMismatch(vm, epoch, differing);
    }

    @Override
    public void verified(long epoch, long pagesCompared, long pagesDiffering, List<Page> differing) {
        ReplicaSession open = session;
        if (open != null) {
            open.send(new VerifyResult(epoch, pagesCompared, pagesDiffering, differing));
        }
    }

    @Override
    public void error(String code, String message) {
        lastError = new LastError(code, message, env.wallMs().getAsLong());
        LOG.warn("{}: {}: {}", vm, code, message);
        env.listener().error(vm, code, message);
    }

    @Override
    public void standbyFailed(String code, String message) {
        error(code, message);
        standbyFailure.set(new LinkError(code, message));
    }

    /** Why there is no standby, once, for the primary; null if nothing new failed. Any thread. */
    @Nullable
    LinkError takeStandbyFailure() {
        return standbyFailure.getAndSet(null);
    }

    @Override
    public void spawned(long pid) throws IOException {
        store.noteStandby(pid);
    }

    /** A session broke a rule, or something failed here. */
    void sessionError(FrameChannel channel, String code, String message) {
        counters.sessionErrors.incrementAndGet();
        error(code, "session with " + channel.peerFingerprint() + " ended: " + message);
    }

    /** Called by the applier's thread: nothing more is applied. */
    void applyFailed(LockstepException cause) {
        applyFailure = cause;
        error(cause.code(), String.valueOf(cause.getMessage()));
        ReplicaSession open = session;
        if (open != null) {
            open.end();
        }
    }

    @Override
    public synchronized void close() {
        ReplicaSession open = session;
        session = null;
        if (open != null) {
            open.end();
        }
        keeper.close();
        drop();
    }

    private void begin(ReplicaStore.Content opened) throws LockstepException, IOException {
        EpochApplier fresh = new EpochApplier(opened, this);
        applier = fresh;
        content = opened;
        fresh.recover();
        wait = waits.create(vm, fresh, this::applyFailed);
    }

    private void failed(LockstepException cause) {
        if (cause.code().equals(ReplicaIo.FULL)) {
            keeper.unwant();
            drop();
            stalled = cause;
            nextTryNs = now() + STALLED_RETRY_NS;
            state(ReplicaState.AWAITING_AGENT, now(), String.valueOf(cause.getMessage()));
        } else {
            lost(cause);
        }
    }

    /** After a full disk: applies what the journal has, as after a restart, if there is room by now. */
    private boolean goesOn() {
        try {
            boolean usable = store.open();
            ReplicaMeta meta = store.meta();
            if (usable && meta != null) {
                begin(Objects.requireNonNull(store.content()));
                stalled = null;
                resumeAfterRestart(meta);
                return true;
            }
            stalled = null;
            lost(EpochApplier.lost("its files are gone"));
            return true;
        } catch (LockstepException e) {
            stalled = null;
            lost(e);
            return true;
        } catch (IOException e) {
            drop();
            LockstepException failure = ReplicaIo.failure(e);
            if (failure.code().equals(ReplicaIo.FULL)) {
                stalled = failure;
                return false;
            }
            stalled = null;
            lost(failure);
            return true;
        }
    }

    private void lost(LockstepException cause) {
        keeper.unwant();
        drop();
        error(cause.code(), String.valueOf(cause.getMessage()));
        state(ReplicaState.EMPTY, now(), String.valueOf(cause.getMessage()));
    }

    /** Closes what is open; the files stay. */
    private void drop() {
        abandonDrill();
        AppliedWait running = wait;
        wait = null;
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

    private ReplicaState follow() {
        return consistent ? ReplicaState.PROTECTED : ReplicaState.SYNCING;
    }

    private void state(ReplicaState next, long nowNs, String why) {
        ReplicaState before = state;
        state = next;
        reason = why;
        if (before != next) {
            sinceNs = nowNs;
            sinceMs = env.wallMs().getAsLong();
            LOG.info("{}: {} -> {}: {}", vm, before.label(), next.label(), why);
            env.listener().stateChanged(vm, before, next, why);
        }
    }

    /** The clock of its host, monotonic. */
    long nowNs() {
        return now();
    }

    /** How its host fares. */
    HostCondition condition() {
        return env.condition();
    }

    private long now() {
        return env.nowNs().getAsLong();
    }

    private SessionReply reply(HelloStatus status, long epoch) {
        return new SessionReply(
                ProtocolVersion.PROTOCOL_VERSION,
                status,
                epoch,
                env.config().ackLevel(),
                promotionWindowMs(Objects.requireNonNull(hello)),
                imagesId(),
                "",
                "");
    }

    private long imagesId() {
        ReplicaStore.Content open = content;
        return open == null ? 0 : open.disks().id();
    }

    private SessionReply refuse(LockstepException cause) {
        error(cause.code(), String.valueOf(cause.getMessage()));
        return new SessionReply(
                ProtocolVersion.PROTOCOL_VERSION,
                HelloStatus.REFUSED,
                -1,
                env.config().ackLevel(),
                0,
                0,
                cause.code(),
                String.valueOf(cause.getMessage()));
    }

    private static boolean sameVm(SessionHello one, SessionHello other) {
        return one.vmIdHigh() == other.vmIdHigh() && one.vmIdLow() == other.vmIdLow();
    }

    private PromotedVm promotedBefore(ReplicaMeta meta) {
        List<java.nio.file.Path> paths = meta.hello().ramBlocks().stream()
                .map(block -> ReplicaFiles.path(store.memoryDirectory(), block.index()))
                .toList();
        return new PromotedVm(
                vm, meta.epoch(), PromotionReason.VM_DIED, -1, -1, meta.pid(), 0, null, meta.hello(), paths);
    }
}
