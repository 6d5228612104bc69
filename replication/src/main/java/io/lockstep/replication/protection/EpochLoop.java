package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.hypervisor.Handover;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.hypervisor.PauseGuard;
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
import java.nio.ByteBuffer;
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
 * <p>A hold only lists where a pre-copy has armed before it: arming pages that lie apart costs a flush of the other processors' TLBs for each 2 MiB
 * ({@code pagemap_scan_pmd_entry} in fs/proc/task_mmu.c). What such a hold reads stays unarmed until the next pre-copy, or the next hold if there is
 * none, and is listed by it again.
 *
 * <p>Invariants: The VM is held only between {@code begin} and {@code finish} of one hold, and nothing in between waits for the network, the
 * journal or a lock. An epoch ends on the link only if its hold lasted until all of it was read. A set of pages that is larger than the room
 * awaited before the stop is copied while the guest runs, never in the hold.
 */
final class EpochLoop {
    /** Fewer written pages than this are copied in the hold in less time than a pass before it saves. */
    private static final int PRE_COPY_PAGES_MIN = 64;

    /** So many pages left for the end of an epoch are worth passes right before its stop: about 0.3 ms of a hold. */
    private static final int APPROACH_PAGES_MIN = 256;

    /** Passes right before a stop: each finds what was written during the one before, which is less and less, or more passes do not help. */
    private static final int APPROACH_PASSES_MAX = 4;

    /** Most pages that one duty cycle copies while the guest runs, so that the VM's death is noticed: 16 MiB, about 10 ms. */
    private static final int PAGES_PER_CYCLE = 4096;

    /** Slots that a boundary needs besides its pages: the epoch's begin and end. */
    private static final int CONTROL_SLOTS = ProtectionSettings.CONTROL_SLOTS;

    /** A hold that reads nothing. */
    private static final int NO_PAGES = -1;

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

    /** From the command to the first state: a drain of slow disks. */
    private static final long BOUNDARY_TIMEOUT_NS = 10_000_000_000L;

    /** A guest that writes too much for one hold so often in a row is held until all is copied, in the time that a pause may take. */
    private static final int OVERLOADS_MAX = 2;

    /** A first copy that does not converge in so many passes ends in a long hold. */
    private static final int SYNC_PASSES_MAX = 5;

    /** What one hold came to. */
    private enum Hold {
        /** All was read while the VM stood still. */
        WHOLE,
        /** Too many pages for a hold: they are copied while the guest runs. If that does not help, the next but one takes the time it needs. */
        OVERLOADED,
        /** The VM ran on too early, or QEMU reported an error: nothing was lost, the pages travel with the next boundary. */
        VOID
    }

    private final HeldSave save;
    private final PauseGuard guard;
    private final HoldUrgency urgency = new HoldUrgency();
    private final VmEvents events;
    private final DeviceWatch devices;
    private final boolean earlyArmingSafe;
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
    private boolean preCopied;
    /** Whether the disks were flushed for this epoch's stop, or are being. */
    private boolean flushing;

    private int preCopiedPages;
    /** Pages that the last hold listed and did not arm, but for hot ones: the next scan lists them again, written or not. */
    private int leftUnarmed;

    private int overloads;
    private int lastDirty;
    private int lastHeld;
    private int latePages;
    private long lastBoundaryNs;
    private long passWhenAcked = Long.MAX_VALUE;
    private long scannedNs;
    private long copiedNs;
    private boolean held;
    private int lastStateBytes;
    private HeldSave.Outcome outcome = HeldSave.Outcome.COMPLETE;

    /** @param firstEpoch number of the first epoch; above all that an earlier agent sent of this VM */
    EpochLoop(
            HeldSave save,
            PauseGuard guard,
            VmEvents events,
            DeviceWatch devices,
            boolean earlyArmingSafe,
            EpochCapture capture,
            OutputHold output,
            DiskReplication disks,
            PagePipeline pipeline,
            ProtectionSettings settings,
            EpochStatistics statistics,
            SyncProgress sync,
            EpochClock wallClock,
            long firstEpoch) {
        this.save = save;
        this.guard = guard;
        this.events = events;
        this.devices = devices;
        this.earlyArmingSafe = earlyArmingSafe;
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
            // What was written while there was no session travels before the first stop, not in it.
            latePages = APPROACH_PAGES_MIN;
            kind = EpochKind.DELTA;
            firstConsistent = committedEpoch + 1;
            capture.resumeFrom(committedEpoch);
            output.resumed(committedEpoch);
        } else {
            kind = EpochKind.SYNC;
            firstConsistent = Long.MAX_VALUE;
            capture.everythingPending();
            // The peer has nothing that it could promote.
            output.pass();
            sync.begin(capture.pendingCount(), nowNs);
        }
        lastBoundaryNs = nowNs;
        pace.now(nowNs);
        return resumes;
    }

    /** After an exception: nothing is held any more, and the pipeline's threads are awake. */
    void letGo() {
        guard.disarm();
        urgency.end();
        disks.end();
        pipeline.quiet(false);
    }

    /** As {@link #letGo}, for good: last words may follow what was handed over. */
    void abandon() {
        letGo();
        capture.abandon();
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
        long nextNs = preCopied || !preCopyPays() ? dueNs : preCopyNs();
        return flushing ? nextNs : Math.min(nextNs, disks.flushNs(dueNs));
    }

    private long dueNs() {
        return pace.dueNs(held && output.installed(), output.wantsEpoch(), output.filling());
    }

    /** Whether output is held from the next boundary on; without it the filters do not delay what passes. */
    void hold(boolean on) {
        held = on;
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

    private boolean preCopyPays() {
        return settings.preCopy() && lastDirty >= PRE_COPY_PAGES_MIN;
    }

    private long preCopyNs() {
        return lastBoundaryNs + (dueNs() - lastBoundaryNs) * PRE_COPY_AT_PERCENT / 100;
    }

    /** One step: pages copied while the guest runs, or a boundary. */
    void cycle(long nowNs) throws LockstepException, LinuxException {
        if (pipeline.state() == PipelineState.FAILED) {
            pipeline.awaitFree(1, 1);
        }
        if (!begun) {
            pipeline.epochBegin(epoch, kind, wallClock.time());
            capture.passing(kind == EpochKind.SYNC);
            begun = true;
            preCopied = false;
            flushing = false;
        }
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
            } else if (!preCopied && preCopyPays() && nowNs - preCopyNs() >= 0) {
                preCopy();
            }
        }
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
            arm();
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
            overloads = diverges ? OVERLOADS_MAX : 0;
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

    /** Arms the tracking, at a stop unless it is safe without. */
    private void arm() throws LockstepException, LinuxException {
        if (earlyArmingSafe) {
            capture.scanAhead(epoch);
        } else if (hold(NO_PAGES) == Hold.VOID) {
            capture.rereadEpoch();
        }
    }

    /** Pages written early in the epoch travel before the stop. */
    private void preCopy() throws LinuxException, PipelineException {
        preCopied = true;
        if (earlyArmingSafe) {
            capture.scanAhead(epoch);
            preCopiedPages = Math.max(0, capture.pendingCount() - leftUnarmed);
            leftUnarmed = 0;
            capture.copyRunning(pagesHeldMax);
        } else {
            preCopiedPages = capture.copyPeeked(pagesHeldMax);
        }
    }

    /** Pages written since the pre-copy travel right before the stop, when an epoch like the last one leaves many. */
    private void approach() throws LinuxException, PipelineException {
        boolean pays = settings.preCopy() && latePages >= APPROACH_PAGES_MIN;
        latePages = 0;
        if (!earlyArmingSafe || !pays) {
            return;
        }
        int before = Integer.MAX_VALUE;
        for (int pass = 0; pass < APPROACH_PASSES_MAX; pass++) {
            capture.scanAhead(epoch);
            int pages = capture.pendingCount();
            int late = Math.max(0, pages - leftUnarmed);
            leftUnarmed = 0;
            if (pages < PRE_COPY_PAGES_MIN || pages > before / 2) {
                return;
            }
            before = pages;
            latePages += late;
            preCopiedPages += late;
            capture.copyRunning(pagesHeldMax);
        }
    }

    private void boundary() throws LockstepException, LinuxException {
        approach();
        int room = pagesHeldMax + settings.scrubPagesPerEpoch() + CONTROL_SLOTS;
        pipeline.awaitFree(room, settings.failureTimeoutMs());
        VerifyRun run = verify;
        Hold outcome = hold(pagesHeldMax);
        if (outcome == Hold.VOID) {
            capture.dropScrub();
        }
        capture.publish();
        long boundary = save.boundaryNs();
        pace.paused(save.beginNs(), boundary, save.resumedNs() - save.beginNs());
        if (outcome == Hold.WHOLE) {
            capture.learn();
            checkDevices(boundary);
            disks.requireIntact(events.jobEnded());
            disks.takeMarkedLast();
            if (run != null) {
                verify = null;
                run.pauseNs(save.resumedNs() - save.beginNs());
                pipeline.awaitDrained(settings.failureTimeoutMs() * 4L);
                run.send(Objects.requireNonNull(channel), epoch);
            }
            statistics.parts(
                    boundary - save.beginNs(), scannedNs - boundary, copiedNs - scannedNs, save.resumedNs() - copiedNs);
            statistics.epoch(boundary - lastBoundaryNs);
            lastBoundaryNs = boundary;
            // While holds stay long they are the shortest way: trying short ones first would only add pauses.
            overloads = lastHeld > pagesHeldMax ? OVERLOADS_MAX : 0;
            end(runState());
        } else if (outcome == Hold.VOID) {
            capture.rereadEpoch();
        } else {
            overloads++;
        }
    }

    private void checkDevices(long nowNs) throws LockstepException {
        disks.draining(true);
        try {
            devices.check(lastStateBytes, nowNs);
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
        if (!begun) {
            pipeline.epochBegin(epoch, kind, wallClock.time());
            begun = true;
        }
        disks.flushAhead();
        if (!preCopied) {
            preCopy();
        }
        disks.awaitFlushed();
        save.announce();
        pipeline.awaitFree(pagesHeldMax + CONTROL_SLOTS, settings.failureTimeoutMs());
        guard.arm(System.nanoTime());
        urgency.begin();
        // Before our own stop: QEMU's word of that may come at any time until it is let go.
        RunState runState = runState();
        disks.draining(true);
        save.begin();
        boolean done = false;
        try {
            if (!save.awaitBoundary(BOUNDARY_TIMEOUT_NS)) {
                throw new LockstepException("switchover-busy", "QEMU did not reach a boundary: its disks are slow");
            }
            output.settle();
            holdOutput();
            copyInHold(scanHeld(pagesHeldMax));
            ByteBuffer state = pipeline.deviceStateBytes().clear();
            handover.freeze(state, BOUNDARY_TIMEOUT_NS);
            lastStateBytes = state.remaining();
            done = true;
        } finally {
            guard.disarm();
            urgency.end();
            if (!done) {
                handover.close();
                finish();
                capture.publish();
                capture.rereadEpoch();
            }
        }
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
        disks.draining(false);
        handover.release(BOUNDARY_TIMEOUT_NS);
        pace.now(System.nanoTime());
    }

    /** Whether the VM runs, but for our own holds. */
    private RunState runState() {
        return events.running() ? RunState.RUNNING : RunState.PAUSED;
    }

    /** What has been sent by this boundary belongs to the epoch; what comes after it waits, from the first epoch on that can be promoted. */
    private void holdOutput() {
        disks.mark();
        if (held && kind == EpochKind.DELTA) {
            output.boundary();
        }
    }

    private void end(RunState runState) throws PipelineException {
        boundaryNs[slot(epoch)] = save.boundaryNs();
        trace();
        long pauseNs = Math.max(save.resumedNs(), save.boundaryNs()) - save.beginNs();
        if (held) {
            output.cut(epoch);
        }
        pipeline.epochEnd(epoch, EpochKind.DELTA, runState, wallClock.time(), pauseNs, lastStateBytes);
        statistics.pause(pauseNs);
        statistics.dirty(lastDirty);
        lastEnded = epoch;
        epoch++;
        begun = false;
    }

    private void trace() {
        EpochTrace.done(EpochStage.STOP, epoch, save.beginNs());
        EpochTrace.done(EpochStage.BOUNDARY, epoch, save.boundaryNs());
        EpochTrace.done(EpochStage.SCANNED, epoch, scannedNs);
        EpochTrace.done(EpochStage.COPIED, epoch, copiedNs);
        EpochTrace.done(EpochStage.RESUMED, epoch, save.resumedNs());
    }

    /**
     * Holds the VM at a boundary: scans and arms, and reads what is pending if it is little enough.
     *
     * @param pagesMax most pages to read in the hold; {@link #NO_PAGES} only arms
     */
    private Hold hold(int pagesMax) throws LockstepException, LinuxException {
        VerifyRun run = pagesMax == NO_PAGES ? null : verify;
        if (run == null) {
            guard.arm(System.nanoTime());
            urgency.begin();
        }
        disks.draining(true);
        save.begin();
        pipeline.quiet(true);
        boolean whole = false;
        boolean reached = save.awaitBoundary(BOUNDARY_TIMEOUT_NS);
        try {
            if (reached) {
                holdOutput();
                int pages = scanHeld(pagesMax);
                scannedNs = System.nanoTime();
                lastHeld = pages;
                latePages += Math.max(0, pages - capture.hotCount());
                boolean all = overloads >= OVERLOADS_MAX && pagesMax != NO_PAGES;
                if (all || pages <= pagesMax) {
                    copyInHold(pages);
                    capture.scrubHeld(settings.scrubPagesPerEpoch());
                    if (run != null) {
                        run.hash();
                    }
                    copiedNs = System.nanoTime();
                    whole = true;
                }
            } else {
                save.abort();
            }
        } finally {
            finish();
        }
        return outcome != HeldSave.Outcome.COMPLETE ? Hold.VOID : whole ? Hold.WHOLE : Hold.OVERLOADED;
    }

    /**
     * Lists what this hold is to read, and arms it unless a pre-copy has just done so; a set that is too large is armed in any case, because it is
     * copied while the guest runs.
     */
    private int scanHeld(int pagesMax) throws LinuxException {
        int unarmedBefore = leftUnarmed;
        leftUnarmed = 0;
        boolean arms = !preCopied || !earlyArmingSafe || overloads > 0;
        if (!arms) {
            capture.listHeld(epoch);
            arms = capture.pendingCount() > pagesMax;
            leftUnarmed = arms ? 0 : Math.max(0, capture.pendingCount() - capture.hotCount());
        }
        if (arms) {
            capture.scanHeld(epoch);
        }
        int pages = capture.pendingCount();
        lastDirty = Math.max(0, pages - unarmedBefore) + preCopiedPages;
        return pages;
    }

    /** All pending pages: into the room that was awaited, or, when they are more, with the pipeline sending meanwhile. */
    private void copyInHold(int pages) throws LinuxException, PipelineException {
        if (pages > pagesHeldMax) {
            pipeline.quiet(false);
            capture.copyRunning(pages);
        }
        capture.copyHeld();
    }

    private void finish() throws LockstepException {
        disks.draining(false);
        ByteBuffer state = pipeline.deviceStateBytes().clear();
        outcome = save.finish(state, BOUNDARY_TIMEOUT_NS);
        guard.disarm();
        urgency.end();
        pipeline.quiet(false);
        lastStateBytes = state.remaining();
        preCopiedPages = 0;
        switch (outcome) {
            case COMPLETE, VOID -> save.afterResume();
            case FAILED -> save.reopen(BOUNDARY_TIMEOUT_NS);
            case TOO_LARGE ->
                throw new LockstepException(
                        "device-state-too-large",
                        "the device state is larger than the buffer of " + state.capacity()
                                + " bytes: this VM has more devices than Lockstep was built for; report it");
            case DIED -> throw new VmGoneException();
            case HUNG ->
                throw new LockstepException(
                        "qemu-hung",
                        "QEMU did not answer within " + BOUNDARY_TIMEOUT_NS / 1_000_000_000 + " s: see its log");
        }
    }
}
