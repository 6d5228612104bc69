package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.HelloStatus;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One VM's replica on this host, over all sessions: what happens to it, and what its primary seems to be. Each part of it is an object of its
 * own: the open files ({@link OpenReplica}), the judgement of silence ({@link SilenceJudge}), the promotion ({@link Takeover}), and so on.
 *
 * <p>Invariants, the table "Who is dead?" of the design. It promotes by itself only when the primary says that the VM died, or when the
 * fence command says that the silent host cannot run it. A closed connection is an agent that crashed on a host that lives: it waits.
 *
 * <p>This object is the lock of all its parts. Its callers are the session's thread, the thread that keeps the standby, and those of the API. Under
 * the lock they wait for the applier and, at a promotion, for QEMU; the fence command and drills run without it. What only reads a moment's state
 * takes no lock.
 */
final class Replica implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Replica.class);

    private final ReplicaEnvironment env;
    private final String vm;
    private final ReplicaCounters counters = new ReplicaCounters();
    private final CurrentSession session = new CurrentSession();
    private final CurrentState state;
    private final ReplicaStore store;
    private final StandbyReports standbyReports;
    private final StandbyKeeper keeper;
    private final Drills drills;
    private final OpenReplica open;
    private final Recovery recovery;
    private final Fencing fencing;
    private final Admission admission;
    private final Takeover takeover;
    private final SilenceJudge silence;
    private final OperatorFailover failover;
    private final AtomicInteger expected = new AtomicInteger();
    private volatile boolean retired;

    /** @param waits makes the way to run an applier: a thread, or in a simulation the caller's own */
    Replica(ReplicaEnvironment env, String vm, AppliedWait.Factory waits) {
        this.env = env;
        this.vm = vm;
        ReplicaConfig config = env.config();
        state = new CurrentState(vm, env.listener(), env.wallMs(), now());
        store = new ReplicaStore(config, vm, env.boot(), env.wallMs());
        standbyReports = new StandbyReports(store, state);
        keeper = new StandbyKeeper(vm, env.standbys(), counters, standbyReports);
        drills = new Drills(vm, config, env.drills());
        ScrubReports scrubs = new ScrubReports(vm, env.listener(), counters, session);
        open = new OpenReplica(vm, store, waits, keeper, drills, scrubs, state, session);
        recovery = new Recovery(vm, store, open, state, env.standbys(), env.nowNs());
        fencing = new Fencing(vm, env.fence(), config.fenceTimeoutMs(), counters);
        admission = new Admission(vm, store, open, fencing, env.condition(), config.ackLevel());
        takeover = new Takeover(vm, env, open, new Promotion(store, keeper), drills, state, session);
        silence = new SilenceJudge(fencing, open, takeover, keeper, state, env.nowNs(), config.fenceRetryMs());
        failover = new OperatorFailover(vm, open, state, session, fencing);
    }

    /** Its VM's name. */
    String vm() {
        return vm;
    }

    /** A Hello is on its way to it: until that is answered it is not retired. Any thread, waits for nothing. */
    void expectHello() {
        expected.incrementAndGet();
    }

    /**
     * Ends it if nothing is left of the VM here; it is of no more use then.
     *
     * @return whether it has ended
     */
    boolean retire() {
        if (!state.is(ReplicaState.EMPTY) || expected.get() > 0) {
            return false;
        }
        synchronized (this) {
            retired = expected.get() == 0
                    && state.is(ReplicaState.EMPTY)
                    && !session.open()
                    && !open.isOpen()
                    && store.meta() == null
                    && !recovery.unreadable();
            return retired;
        }
    }

    boolean retired() {
        return retired;
    }

    /** Takes up what an earlier process of this agent left. */
    synchronized void open() {
        ReplicaMeta promoted = recovery.begin();
        if (promoted != null) {
            takeover.promotedBefore(promoted, store.memoryDirectory());
        }
    }

    /**
     * Answers a Hello and, if it is accepted, makes the session the replica's own; an older one is ended.
     *
     * @return the reply to send; with RESUME or FULL the session is open
     */
    synchronized SessionReply hello(SessionHello wanted, ReplicaSession opening, String fingerprint) {
        try {
            return answer(wanted, opening, fingerprint);
        } finally {
            expected.updateAndGet(count -> Math.max(0, count - 1));
        }
    }

    private SessionReply answer(SessionHello wanted, ReplicaSession opening, String fingerprint) {
        LockstepException failure = open.applyFailure();
        if (failure != null) {
            recovery.failed(failure);
        }
        try {
            recovery.checkRoom();
            recovery.checkReadable();
            promoteAsDecided();
            if (admission.promotedHere(wanted)) {
                return admission.reply(
                        wanted,
                        HelloStatus.PROMOTED,
                        Objects.requireNonNull(store.meta()).epoch());
            }
            admission.check(wanted, fingerprint);
            return begin(wanted, opening, fingerprint);
        } catch (LockstepException e) {
            return refuse(e);
        } catch (IOException e) {
            return refuse(new LockstepException("replica-io", "The replica cannot be read: " + e, e));
        }
    }

    /** What an earlier process of this agent had decided and did not live to do; once. */
    private void promoteAsDecided() {
        if (recovery.takeOwedPromotion()) {
            takeover.promoteByItself(PromotionReason.EARLIER_DECISION, "decided before this agent started");
        }
    }

    private SessionReply refuse(LockstepException cause) {
        state.error(cause);
        return admission.refusal(cause);
    }

    private SessionReply begin(SessionHello wanted, ReplicaSession opening, String fingerprint)
            throws LockstepException, IOException {
        session.end();
        takeover.release();
        recovery.forgetOwedPromotion();
        boolean resume = admission.resumable(wanted);
        if (!resume) {
            open.drop();
            takeover.forget();
            counters.fullCopies.incrementAndGet();
            create(wanted, fingerprint);
        } else if (Objects.requireNonNull(store.meta()).role() == ReplicaMeta.Role.RELEASED) {
            store.store(Objects.requireNonNull(store.meta()).with(ReplicaMeta.Role.REPLICA));
        }
        open.describe(wanted);
        standbyReports.sessionBegins();
        long epoch = open.receive(opening, env.config()).committedEpoch();
        silence.sessionBegins();
        open.wantStandby(wanted);
        session.set(opening);
        counters.sessions.incrementAndGet();
        state.change(
                open.following(),
                now(),
                resume ? "session resumes after epoch " + epoch : "session begins with a full copy");
        return admission.reply(wanted, resume ? HelloStatus.RESUME : HelloStatus.FULL, resume ? epoch : -1);
    }

    /** Nothing is left of a replica that cannot be made. */
    private void create(SessionHello wanted, String fingerprint) throws LockstepException, IOException {
        boolean done = false;
        try {
            open.begin(store.create(wanted, fingerprint));
            done = true;
        } finally {
            if (!done) {
                open.drop();
                store.discard();
            }
        }
    }

    /** Takes a message of the stream; nothing if the session was ended meanwhile. */
    synchronized void stream(ReplicaSession from, int templateId, DirectBuffer buffer, int offset, int length)
            throws LinkException {
        if (from.ended()) {
            return;
        }
        open.receiver().onStream(templateId, buffer, offset, length);
        if (templateId == EpochBeginDecoder.TEMPLATE_ID || templateId == EpochEndDecoder.TEMPLATE_ID) {
            progress(open.receiver(), templateId == EpochEndDecoder.TEMPLATE_ID);
        }
    }

    /** An epoch began or ended. */
    private void progress(EpochReceiver receiver, boolean ended) {
        if (ended) {
            counters.epochsCommitted.incrementAndGet();
            silence.epochCommitted(receiver.consistent());
        }
        if (open.consistencyChanged()) {
            state.change(
                    open.following(),
                    now(),
                    open.consistent() ? "epoch " + receiver.committedEpoch() + " is consistent" : "SYNC epochs come");
        } else if (takeover.held()) {
            LOG.info("{}: epochs come though the standby is held: the switchover is off", vm);
            takeover.abort("epochs come again");
        }
    }

    /** Something came from the primary. */
    void heard(ReplicaSession from) {
        if (state.is(ReplicaState.SILENT)) {
            synchronized (this) {
                if (session.is(from) && state.is(ReplicaState.SILENT)) {
                    ReplicaState next = takeover.held() ? ReplicaState.HELD : open.following();
                    state.change(next, now(), "the primary speaks again");
                }
            }
        }
    }

    /** Nothing came from the primary within the session's wait; fences and promotes when it is time. */
    void quiet(ReplicaSession from, long nowNs) {
        synchronized (this) {
            if (!session.is(from) || !silence.fence(from.lastReceivedNs(), nowNs)) {
                return;
            }
        }
        Fence.Outcome outcome = fencing.run();
        if (outcome.fenced()) {
            from.drain();
        }
        synchronized (this) {
            if (session.is(from) && silence.promote(outcome, from.lastReceivedNs())) {
                takeover.promoteByItself(PromotionReason.HOST_SILENT, outcome.detail());
            }
        }
    }

    /** The session's connection ended. */
    synchronized void closed(ReplicaSession from, String why) {
        if (!session.is(from)) {
            return;
        }
        session.forget();
        LockstepException failure = open.applyFailure();
        if (failure != null) {
            recovery.failed(failure);
            return;
        }
        if (takeover.held()) {
            takeover.abort("the connection ended");
        }
        switch (state.get()) {
            case SYNCING, PROTECTED, HELD, FENCING ->
                state.change(ReplicaState.AWAITING_AGENT, now(), "connection closed without a goodbye: " + why);
            case SILENT -> state.change(ReplicaState.SILENT, now(), "connection ended after a silence: " + why);
            default -> LOG.info("{}: connection ended: {}", vm, why);
        }
    }

    /** Time passes: called some times a second. */
    synchronized void tick(long nowNs) {
        LockstepException failure = open.applyFailure();
        if (failure != null && !session.open()) {
            recovery.failed(failure);
        }
        recovery.tick(nowNs);
        promoteAsDecided();
        SessionHello known = open.hello();
        if (state.is(ReplicaState.AWAITING_AGENT)
                && known != null
                && nowNs - state.sinceNs() > TimeUnit.MILLISECONDS.toNanos(known.agentRestartMs())) {
            state.change(
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

    /** Whether what this session says is past: another has taken its place, or the VM runs here. */
    private boolean superseded(ReplicaSession from) {
        return takeover.promoted() != null || (session.open() && !session.is(from));
    }

    synchronized void vmDied(ReplicaSession from, VmDied message) {
        if (superseded(from)) {
            return;
        }
        long committed = open.receiver().committedEpoch();
        if (!open.consistent()) {
            state.change(
                    ReplicaState.PRIMARY_AGENT_LOST,
                    now(),
                    "the VM died (" + message.reason() + ") and the replica is not consistent");
        } else if (committed < message.committedEpoch()) {
            state.error(
                    "replica-behind",
                    "The VM died; the replica's epoch " + committed + " < " + message.committedEpoch()
                            + " acknowledged: not promoted. `lockstep failover --force` promotes the older state.");
            state.change(ReplicaState.PRIMARY_AGENT_LOST, now(), "the VM died and the replica is behind");
        } else {
            takeover.promoteByItself(PromotionReason.VM_DIED, message.reason());
        }
    }

    synchronized void goodbye(ReplicaSession from, String why) {
        if (superseded(from)) {
            return;
        }
        state.change(ReplicaState.AWAY, now(), why);
    }

    synchronized void released(ReplicaSession from, boolean discard, String why) throws LockstepException {
        if (superseded(from)) {
            return;
        }
        session.forget();
        ReplicaMeta meta = store.meta();
        if (discard || meta == null) {
            open.drop();
            store.discard();
            state.change(ReplicaState.EMPTY, now(), why);
        } else {
            store.store(meta.with(ReplicaMeta.Role.RELEASED));
            state.change(ReplicaState.RELEASED, now(), why);
        }
    }

    synchronized SwitchoverReady switchoverPrepare(ReplicaSession from, long epoch) {
        if (superseded(from)) {
            return new SwitchoverReady(epoch, false, "the session was ended");
        }
        return takeover.prepare(epoch);
    }

    synchronized void switchoverCommit(ReplicaSession from, long epoch) {
        if (!superseded(from)) {
            takeover.commit(epoch);
        }
    }

    synchronized void switchoverAbort(ReplicaSession from, String why) {
        if (!superseded(from)) {
            takeover.abort(why);
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
            PromotedVm already = takeover.promoted();
            if (already != null) {
                return already;
            }
            recovery.checkRoom();
            failover.check(force);
        }
        failover.fence(force);
        synchronized (this) {
            return takeover.promote(force ? PromotionReason.FORCED : PromotionReason.FAILOVER);
        }
    }

    /**
     * Resumes a second standby from the replica, sees that its guest runs, and throws it away. In nobody's way: whatever needs the replica
     * ends the drill.
     *
     * @throws LockstepException those of {@link Drills#begin} and of {@link Drill#run}
     */
    DrillResult drill() throws LockstepException {
        Drill own;
        AppliedWait applying;
        synchronized (this) {
            own = drills.begin(open, state.described(), takeover.held());
            applying = open.applying();
        }
        try {
            return own.run(applying::committed);
        } finally {
            synchronized (this) {
                drills.ended();
            }
        }
    }

    /** What the primary is told of drills here; any thread. */
    void drillReport(DrillReport report) {
        drills.report(report);
    }

    DrillReport drillReport() {
        return drills.report();
    }

    /**
     * Removes the replica, or the memory of a promotion whose VM has ended.
     *
     * @throws LockstepException {@code replica-unknown}, {@code vm-runs-here}, {@code primary-alive}
     */
    synchronized void discard() throws LockstepException {
        ReplicaMeta meta = store.meta();
        if (meta == null && !recovery.unreadable()) {
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
        if (session.open()) {
            throw new LockstepException(
                    "primary-alive",
                    "The primary of " + vm + " is connected and replicates it here. Use `lockstep unprotect " + vm
                            + "` there.");
        }
        open.drop();
        store.discard();
        takeover.forget();
        recovery.forget();
        state.forgetError();
        state.change(ReplicaState.EMPTY, now(), "discarded");
    }

    /** Snapshot; any thread, waits for nothing. */
    ReplicaStatus status() {
        ReplicaStore.Content content = open.contentIfOpen();
        ReplicaSession from = session.get();
        SessionHello known = open.hello();
        PromotedVm done = takeover.promoted();
        ReplicaMeta meta = store.meta();
        CurrentState.LastError error = state.lastError();
        return new ReplicaStatus(
                vm,
                state.get(),
                state.reason(),
                state.sinceMs(),
                content != null && open.consistent(),
                meta == null ? "" : meta.fingerprint(),
                known == null ? 0 : known.ramBytes(),
                done != null ? done.epoch() : open.committedEpoch(),
                done != null ? done.epoch() : open.appliedEpoch(),
                env.config().ackLevel(),
                content == null ? 0 : content.journal().epochCount(),
                content == null ? 0 : content.journal().bytes(),
                keeper.ready(),
                keeper.pid(),
                from == null ? -1 : now() - from.lastReceivedNs(),
                from == null ? ReportedHealth.UNKNOWN : from.primaryHealth(),
                done,
                error.code(),
                error.message(),
                error.atMs(),
                counters.snapshot());
    }

    /** The open replica's journal and files; null if there is none. */
    ReplicaStore.@Nullable Content content() {
        return open.contentIfOpen();
    }

    /** How regularly its applier comes round; null if none runs. Any thread. */
    @Nullable
    DutyCycle applierRounds() {
        return open.applierRounds();
    }

    /** How regularly the thread of its session comes round. Any thread. */
    DutyCycle sessionRounds() {
        return session.rounds();
    }

    /** How regularly the thread beside that comes round, which says that this host is here. Any thread. */
    DutyCycle liveRounds() {
        return session.liveRounds();
    }

    /** How long the disks of its drills take for what their QEMU asks. Any thread. */
    DutyCycle drillDiskRounds() {
        return drills.diskRounds();
    }

    boolean standbyReady() {
        return keeper.ready();
    }

    /** Why there is no standby, once, for the primary; null if nothing new failed. Any thread. */
    @Nullable
    LinkError takeStandbyFailure() {
        return standbyReports.take();
    }

    /** A session broke a rule, or something failed here. */
    void sessionError(FrameChannel channel, String code, String message) {
        counters.sessionErrors.incrementAndGet();
        state.error(code, "session with " + channel.peerFingerprint() + " ended: " + message);
    }

    @Override
    public synchronized void close() {
        session.end();
        open.drop();
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
}
