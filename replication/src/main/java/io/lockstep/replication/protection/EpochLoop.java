package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.hypervisor.Handover;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.network.OutputHold;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import io.lockstep.replication.pipeline.PipelineState;
import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.RunState;
import java.util.Objects;
import org.agrona.concurrent.EpochClock;
import org.jspecify.annotations.Nullable;

/**
 * The epochs of one protected VM, on its capture thread.
 *
 * <pre>
 *   |<------------------------- epoch ------------------------------>|
 *   | guest runs        pre-copy: list (arm), copy, send   | hold    | guest runs ...
 *   |                                                      | boundary, scan (arm), copy, scrub, state
 * </pre>
 *
 * <p>Invariant: an epoch ends on the link only if its hold lasted until all of it was read. What a hold itself does, and what comes right before it,
 * is {@link VmHold}'s.
 */
final class EpochLoop {
    /** Most pages that one duty cycle copies while the guest runs, so that the VM's death is noticed: 16 MiB, about 10 ms. */
    private static final int PAGES_PER_CYCLE = 4096;

    /** How often a wait for an acknowledgement looks whether it has come. */
    private static final long ACK_POLL_NS = 1_000_000;

    /** Written pages travel ahead of the stop at this part of the epoch: late enough for most, early enough to be sent by then. */
    private static final int PRE_COPY_AT_PERCENT = 60;

    /** Between two passes of a first copy whose disks take longer than its memory. */
    private static final long SYNC_WAIT_NS = 50_000_000;

    /** The first copy of disks is acknowledged so often, if the one before is. */
    private static final long SYNC_EPOCH_NS = 100_000_000L;

    /** More than epochs can be in flight. */
    private static final int BOUNDARIES_REMEMBERED = 16;

    /** A broken session's sender lets go within its send timeout. */
    private static final long ATTACH_TIMEOUT_MS = 12_000;

    /** A first copy that does not converge in so many passes ends in a long hold. */
    private static final int SYNC_PASSES_MAX = 5;

    private final VmHold hold;
    private final VmEvents events;
    private final DeviceWatch devices;
    private final EpochCapture capture;
    private final OutputHold output;
    private final DiskReplication disks;
    private final EpochPace pace;
    private final PagePipeline pipeline;
    private final ProtectionSettings settings;
    private final EpochStatistics statistics;
    private final SyncProgress sync;
    private final EpochClock wallClock;
    private final int pagesHeldMax;
    private final long[] boundaryNs = new long[BOUNDARIES_REMEMBERED];
    private @Nullable VerifyRun verify;
    private @Nullable FrameChannel channel;
    private long epoch;
    private long lastEnded = -1;
    private long lastAcked = -1;
    private EpochKind kind = EpochKind.SYNC;
    private long firstConsistent = Long.MAX_VALUE;
    private boolean begun;
    private boolean disksReady;
    private long syncEndedNs;
    /** Whether the disks were flushed for this epoch's stop, or are being. */
    private boolean flushing;

    private long lastBoundaryNs;
    private long passWhenAcked = Long.MAX_VALUE;
    private boolean outputHeld;

    /** @param firstEpoch number of the first epoch; above all that an earlier agent sent of this VM */
    EpochLoop(
            VmHold hold,
            VmEvents events,
            DeviceWatch devices,
            EpochCapture capture,
            OutputHold output,
            DiskReplication disks,
            PagePipeline pipeline,
            ProtectionSettings settings,
            EpochStatistics statistics,
            SyncProgress sync,
            EpochClock wallClock,
            long firstEpoch) {
        this.hold = hold;
        this.events = events;
        this.devices = devices;
        this.capture = capture;
        this.output = output;
        this.disks = disks;
        this.pace = new EpochPace(settings.output(), settings.epochMs());
        this.pipeline = pipeline;
        this.settings = settings;
        this.statistics = statistics;
        this.sync = sync;
        this.wallClock = wallClock;
        this.epoch = firstEpoch;
        this.pagesHeldMax = settings.pagesHeldMax();
    }

    /** Whether the peer holds a consistent epoch of this session: the VM is protected. */
    boolean protectedNow() {
        return kind == EpochKind.DELTA && lastAcked >= firstConsistent;
    }

    /** Number of the epoch under way. */
    long epoch() {
        return epoch;
    }

    /** Last epoch handed to the pipeline whole; -1 if none. */
    long lastEnded() {
        return lastEnded;
    }

    /** Last epoch that the peer acknowledged; -1 if none. */
    long lastAcked() {
        return lastAcked;
    }

    /** Kind of the epoch under way. */
    EpochKind kind() {
        return kind;
    }

    /** The next boundary verifies every page. */
    void verifyNext(VerifyRun run) {
        verify = run;
    }

    /**
     * Starts with a new session.
     *
     * @param reply in which the peer says what it holds
     * @return whether it goes on from there, without a full copy
     */
    boolean attach(FrameChannel newChannel, SessionReply reply, long nowNs) throws LockstepException, LinuxException {
        long committedEpoch = reply.committedEpoch();
        boolean references = disks.present() && ProtocolVersion.hasReferences(reply.protocolVersion());
        pipeline.attach(newChannel, references, ATTACH_TIMEOUT_MS);
        channel = newChannel;
        begun = false;
        verify = null;
        lastAcked = committedEpoch;
        lastEnded = committedEpoch;
        epoch = committedEpoch >= 0 ? committedEpoch + 1 : epoch;
        boolean resumes = reply.status() == HelloStatus.RESUME;
        events.forgetJobs();
        boolean oneEpoch = disks.begin(resumes, reply.imagesId());
        events.forgetJobs();
        passWhenAcked = Long.MAX_VALUE;
        syncEndedNs = nowNs;
        if (resumes && !oneEpoch) {
            // Too much for one epoch: until the disks are whole again there is none to promote.
            kind = EpochKind.SYNC;
            firstConsistent = Long.MAX_VALUE;
            capture.resumeFrom(committedEpoch);
            output.resumed(committedEpoch);
            passWhenAcked = epoch;
            sync.begin(capture.pendingCount(), nowNs);
        } else if (resumes) {
            hold.expectMuch();
            kind = EpochKind.DELTA;
            firstConsistent = committedEpoch + 1;
            capture.resumeFrom(committedEpoch);
            output.resumed(committedEpoch);
        } else {
            kind = EpochKind.SYNC;
            firstConsistent = Long.MAX_VALUE;
            capture.everythingPending();
            output.passAnew();
            sync.begin(capture.pendingCount(), nowNs);
        }
        lastBoundaryNs = nowNs;
        pace.now(nowNs);
        return resumes;
    }

    /** After an exception: nothing is held any more, what was read and not handed over is dropped, and the pipeline's threads are awake. */
    void letGo() {
        hold.letGo();
        disks.end();
        capture.abandon();
        pipeline.quiet(false);
    }

    /** Takes the peer's acknowledgement. */
    void acknowledged(long acked, long ackedNs) {
        if (acked > lastAcked && acked <= lastEnded) {
            lastAcked = acked;
            capture.acknowledged(acked);
            disks.acknowledged(acked);
            if (acked >= passWhenAcked) {
                // The peer has given its old epoch up, so nothing that leaves now contradicts a promotion, unless a new
                // one is under way.
                passWhenAcked = Long.MAX_VALUE;
                output.passUnlessCut();
            }
            statistics.acknowledged(ackedNs - boundaryNs[slot(acked)]);
            long heldNs = acked > 0 ? boundaryNs[slot(acked - 1)] : 0;
            if (heldNs != 0) {
                statistics.lag(ackedNs - heldNs);
            }
            EpochTrace.done(EpochStage.ACKNOWLEDGED, acked, ackedNs);
        }
    }

    private int slot(long number) {
        return (int) (number % boundaryNs.length);
    }

    /** When {@link #cycle} has something to do again, {@link System#nanoTime()}. */
    long nextCycleNs(long nowNs) {
        if (!begun) {
            return nowNs;
        }
        if (kind == EpochKind.SYNC) {
            return sync.passOpen() || disks.waits() ? nowNs : Math.min(nowNs + SYNC_WAIT_NS, disks.nextPollNs());
        }
        if (capture.pendingCount() > pagesHeldMax || disks.waits()) {
            return nowNs;
        }
        if (!disksReady) {
            return disks.nextPollNs();
        }
        if (waitsForAcknowledgement()) {
            return nowNs + ACK_POLL_NS;
        }
        long dueNs = dueNs();
        long nextNs = Math.min(hold.preCopyPays() ? preCopyNs() : dueNs, disks.nextTakeNs(nowNs));
        return flushing ? nextNs : Math.min(nextNs, disks.nextFlushNs(dueNs, nowNs));
    }

    private long dueNs() {
        return pace.dueNs(outputHeld && output.installed(), output.wantsEpoch(), output.filling());
    }

    /** Whether output is held from the next boundary on; without it the filters do not delay what passes. */
    void holdOutput(boolean on) {
        outputHeld = on;
        if (!on) {
            output.pass();
        }
    }

    /** Whether the peer has no epoch that it could promote, and knows that: a first copy is under way. */
    boolean peerHoldsNothing() {
        return kind == EpochKind.SYNC && passWhenAcked == Long.MAX_VALUE;
    }

    /** Whether nothing has left the VM that the last acknowledged epoch does not know of. */
    boolean nothingSeenSince() {
        return protectedNow() || output.exact();
    }

    private boolean waitsForAcknowledgement() {
        return lastEnded - lastAcked >= settings.epochsInFlightMax() || !capture.hasRoom();
    }

    private long preCopyNs() {
        return lastBoundaryNs + (dueNs() - lastBoundaryNs) * PRE_COPY_AT_PERCENT / 100;
    }

    /** One step: pages copied while the guest runs, or a boundary. */
    void cycle(long nowNs) throws LockstepException, LinuxException {
        if (pipeline.state() == PipelineState.FAILED) {
            pipeline.awaitFree(1, 1);
        }
        begin();
        disks.requireIntact(events.jobEnded());
        if (disks.waits() || kind == EpochKind.SYNC) {
            disks.take();
        }
        if (kind == EpochKind.SYNC) {
            syncCycle(nowNs);
        } else if (capture.pendingCount() > pagesHeldMax) {
            capture.copyRunning(PAGES_PER_CYCLE);
        } else if (!disksReady(nowNs)) {
            disks.take();
        } else if (!waitsForAcknowledgement()) {
            long dueNs = dueNs();
            if (!flushing && nowNs >= disks.flushNs(dueNs)) {
                flushing = true;
                disks.flushAhead();
            }
            if (nowNs - dueNs >= 0) {
                disks.awaitFlushed();
                boundary();
            } else if (hold.preCopyPays() && nowNs - preCopyNs() >= 0) {
                hold.preCopy(epoch);
            }
        }
    }

    /** Begins the epoch under way, if that has not been done. */
    private void begin() throws PipelineException {
        if (begun) {
            return;
        }
        pipeline.epochBegin(epoch, kind, wallClock.time());
        capture.passing(kind == EpochKind.SYNC);
        begun = true;
        hold.epochBegins();
        flushing = false;
    }

    /** Whether the disks are whole, so that an epoch can have a boundary. */
    private boolean disksReady(long nowNs) throws LockstepException {
        disksReady = disks.ready(nowNs);
        if (disksReady) {
            disks.keep(epoch, lastAcked, nowNs);
        }
        return disksReady;
    }

    /** The first copy: arm, copy what is pending while the guest runs, until few enough pages are left for one hold. */
    private void syncCycle(long nowNs) throws LockstepException, LinuxException {
        if (!sync.passOpen()) {
            hold.arm(epoch);
            sync.passBegins(capture.pendingCount());
        }
        int before = capture.pendingCount();
        capture.copyRunning(PAGES_PER_CYCLE);
        int left = capture.pendingCount();
        sync.copied(before - left, left, nowNs);
        // What is acknowledged of a disk's copy is not copied again. Of memory all is, so that an epoch may end in the
        // midst of it.
        boolean ackDue = nowNs - syncEndedNs > SYNC_EPOCH_NS && lastEnded == lastAcked;
        if (left > 0) {
            if (ackDue && peerHoldsNothing() && !disks.ready(nowNs)) {
                syncEnds(nowNs);
            }
            return;
        }
        sync.passEnds();
        disksReady = disks.ready(nowNs);
        if (!disksReady) {
            if (epoch == passWhenAcked || ackDue) {
                syncEnds(nowNs);
            }
            return;
        }
        boolean diverges = sync.passes() >= SYNC_PASSES_MAX;
        if (diverges || capture.peek() <= pagesHeldMax / 2) {
            hold.takeAll(diverges);
            syncEnds(nowNs);
            kind = EpochKind.DELTA;
            firstConsistent = epoch;
            lastBoundaryNs = nowNs;
            pace.now(nowNs);
        }
    }

    private void syncEnds(long nowNs) throws LockstepException {
        disks.markCopied(epoch);
        disks.takeMarked();
        syncEndedNs = nowNs;
        pipeline.epochEnd(epoch, EpochKind.SYNC, RunState.RUNNING, wallClock.time(), 0, 0);
        boundaryNs[slot(epoch)] = nowNs;
        lastEnded = epoch;
        epoch++;
        begun = false;
    }

    private void boundary() throws LockstepException, LinuxException {
        VerifyRun run = verify;
        VmHold.Result result = hold.boundary(epoch, holdsOutput(), run);
        long boundary = hold.boundaryNs();
        pace.paused(hold.beginNs(), boundary, hold.resumedNs() - hold.beginNs());
        if (result != VmHold.Result.WHOLE) {
            return;
        }
        checkDevices(boundary);
        disks.requireIntact(events.jobEnded());
        disks.takeMarkedLast();
        if (run != null) {
            verify = null;
            run.pauseNs(hold.resumedNs() - hold.beginNs());
            pipeline.awaitDrained(settings.failureTimeoutMs() * 4L);
            run.send(Objects.requireNonNull(channel), epoch);
        }
        statistics.stopParts(hold.beginNs(), hold.stoppedNs(), boundary);
        statistics.readParts(hold.scannedNs() - boundary, hold.copiedNs() - hold.scannedNs());
        statistics.startParts(hold.copiedNs(), hold.stateReadNs(), hold.resumedNs());
        statistics.epoch(boundary - lastBoundaryNs);
        lastBoundaryNs = boundary;
        end(hold.runState());
    }

    /** Whether what the VM sends is held, from the first epoch on that can be promoted. */
    private boolean holdsOutput() {
        return outputHeld && kind == EpochKind.DELTA;
    }

    private void checkDevices(long nowNs) throws LockstepException {
        disks.draining(true);
        try {
            if (devices.check(hold.stateBytes(), nowNs)) {
                output.requireFilters(devices.filters());
            }
        } finally {
            disks.draining(false);
        }
    }

    /**
     * The last epoch of a planned move: like a boundary, but QEMU stays held, with its state whole. The VM runs on if this throws.
     *
     * <p>What is written while this waits for its turn is copied before the stop, and what is too much for a short hold is copied in a
     * long one, within {@code pauseMsMax}: a VM that writes much can be moved, too.
     *
     * @return the epoch, whose end was handed to the pipeline
     * @throws LockstepException {@code switchover-busy} if QEMU does not reach a boundary: its disks are slow; {@code disk-mirror-broken} if the peer
     *     lacks a write of theirs; {@code pipeline-full} if the link takes nothing
     */
    long freeze(Handover handover) throws LockstepException, LinuxException {
        begin();
        RunState runState = hold.freeze(epoch, holdsOutput(), handover);
        try {
            capture.publish();
            disks.requireIntact(events.jobEnded());
            disks.takeMarkedLast();
            end(runState);
        } catch (LockstepException | RuntimeException e) {
            // The epoch is the peer's in part: it forgets that with the session, which begins anew.
            pipeline.abort(e);
            unfreeze(handover);
            throw e;
        }
        return lastEnded;
    }

    /** The planned move is off: the VM runs on. */
    void unfreeze(Handover handover) throws LockstepException {
        hold.unfreeze(handover);
        pace.now(System.nanoTime());
    }

    private void end(RunState runState) throws PipelineException {
        boundaryNs[slot(epoch)] = hold.boundaryNs();
        hold.trace(epoch);
        long pauseNs = Math.max(hold.resumedNs(), hold.boundaryNs()) - hold.beginNs();
        if (outputHeld) {
            output.cut(epoch);
        }
        pipeline.epochEnd(epoch, EpochKind.DELTA, runState, wallClock.time(), pauseNs, hold.stateBytes());
        statistics.pause(pauseNs);
        statistics.dirty(hold.dirtyPages());
        lastEnded = epoch;
        epoch++;
        begun = false;
    }
}
