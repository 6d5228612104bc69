package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.hypervisor.Handover;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.hypervisor.PauseGuard;
import io.lockstep.replication.network.OutputHold;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import io.lockstep.replication.wire.RunState;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The end of an epoch on the VM's side: what travels ahead of the stop, and the hold, in which the rest is read while the VM stands still.
 *
 * <p>A hold only lists where a pre-copy has armed before it: arming pages that lie apart costs a flush of the other processors' TLBs for each 2 MiB
 * ({@code pagemap_scan_pmd_entry} in fs/proc/task_mmu.c). What such a hold reads stays unarmed until the next pre-copy, or the next hold if there is
 * none, and is listed by it again.
 *
 * <p>Invariants: The VM is held only between {@code begin} and {@code finish} of one save, and nothing in between waits for the network, the
 * journal or a lock. A set of pages that is larger than the room awaited before the stop is copied while the guest runs, never in the hold, unless
 * that has not helped twice. Capture thread.
 */
final class VmHold {
    /** Fewer written pages than this are copied in the hold in less time than a pass before it saves. */
    private static final int PRE_COPY_PAGES_MIN = 64;

    /** So many pages left for the end of an epoch are worth passes right before its stop: about 0.3 ms of a hold. */
    private static final int APPROACH_PAGES_MIN = 256;

    /** Passes right before a stop: each finds what was written during the one before, which is less and less, or more passes do not help. */
    private static final int APPROACH_PASSES_MAX = 4;

    /** Slots that a boundary needs besides its pages: the epoch's begin and end. */
    private static final int CONTROL_SLOTS = ProtectionSettings.CONTROL_SLOTS;

    /** A hold that reads nothing. */
    private static final int NO_PAGES = -1;

    /** From the command to the first state: a drain of slow disks. */
    private static final long BOUNDARY_TIMEOUT_NS = 10_000_000_000L;

    /** A guest that writes too much for one hold so often in a row is held until all is copied, in the time that a pause may take. */
    private static final int OVERLOADS_MAX = 2;

    /** What one hold came to. */
    enum Result {
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
    private final boolean earlyArmingSafe;
    private final EpochCapture capture;
    private final OutputHold output;
    private final DiskReplication disks;
    private final PagePipeline pipeline;
    private final ProtectionSettings settings;
    private final int pagesHeldMax;
    private boolean preCopied;
    private int preCopiedPages;
    /** Pages that the last hold listed and did not arm, but for hot ones: the next scan lists them again, written or not. */
    private int leftUnarmed;

    private int overloads;
    private int dirtyPages;
    private int pagesHeld;
    private int latePages;
    private long scannedNs;
    private long copiedNs;
    private int stateBytes;
    private HeldSave.Outcome outcome = HeldSave.Outcome.COMPLETE;

    VmHold(
            HeldSave save,
            PauseGuard guard,
            VmEvents events,
            boolean earlyArmingSafe,
            EpochCapture capture,
            OutputHold output,
            DiskReplication disks,
            PagePipeline pipeline,
            ProtectionSettings settings) {
        this.save = save;
        this.guard = guard;
        this.events = events;
        this.earlyArmingSafe = earlyArmingSafe;
        this.capture = capture;
        this.output = output;
        this.disks = disks;
        this.pipeline = pipeline;
        this.settings = settings;
        this.pagesHeldMax = settings.pagesHeldMax();
    }

    /** An epoch begins: nothing of it has travelled. */
    void epochBegins() {
        preCopied = false;
        preCopiedPages = 0;
    }

    /** What was written while there was no session is much: it travels right before the next stop, not in it. */
    void expectMuch() {
        latePages = APPROACH_PAGES_MIN;
    }

    /** The next hold takes the time that it needs, or only the time for few pages. */
    void takeAll(boolean all) {
        overloads = all ? OVERLOADS_MAX : 0;
    }

    /** After an exception: the VM is held no more. */
    void letGo() {
        guard.disarm();
        urgency.end();
    }

    /** Whether a pre-copy is worth a pass, and this epoch has had none. */
    boolean preCopyPays() {
        return !preCopied && settings.preCopy() && dirtyPages >= PRE_COPY_PAGES_MIN;
    }

    /** When the last hold began, {@link System#nanoTime()}. */
    long beginNs() {
        return save.beginNs();
    }

    /**
     * When the VM stood still in it, and the disks that are mirrored were drained and flushed; 0 if QEMU did not say. QEMU tells of the first alone, the
     * mirrors' servers see the second; a disk that no mirror belongs to, QEMU flushes unseen, after that.
     */
    long stoppedNs() {
        long stoppedNs = save.stoppedNs();
        return stoppedNs == 0 ? 0 : Math.max(stoppedNs, Math.min(disks.flushedNs(), save.boundaryNs()));
    }

    /** When its device state began to come. */
    long boundaryNs() {
        return save.boundaryNs();
    }

    /** When QEMU had handed over all of the device state; 0 if it did not say. */
    long stateReadNs() {
        long stateReadNs = save.stateReadNs();
        return stateReadNs == 0 ? 0 : Math.max(stateReadNs, copiedNs);
    }

    /** When the VM ran again after it. */
    long resumedNs() {
        return save.resumedNs();
    }

    /** When its pages had been listed. */
    long scannedNs() {
        return scannedNs;
    }

    /** When they had been copied. */
    long copiedNs() {
        return copiedNs;
    }

    /** Pages written in the epoch of the last hold, and copied ahead of it or in it. */
    int dirtyPages() {
        return dirtyPages;
    }

    /** Bytes of the device state that the last hold read. */
    int stateBytes() {
        return stateBytes;
    }

    /** Whether the VM runs, but for our own holds. */
    RunState runState() {
        return events.running() ? RunState.RUNNING : RunState.PAUSED;
    }

    /** Arms the tracking, at a stop unless it is safe without. */
    void arm(long epoch) throws LockstepException, LinuxException {
        if (earlyArmingSafe) {
            capture.scanAhead(epoch);
        } else if (hold(epoch, NO_PAGES, false, null) == Result.VOID) {
            capture.rereadEpoch();
        }
    }

    /** Pages written early in the epoch travel before the stop. */
    void preCopy(long epoch) throws LinuxException, PipelineException {
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
    private void approach(long epoch) throws LinuxException, PipelineException {
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

    /**
     * Holds the VM once and hands what was read to the pipeline.
     *
     * @param holdsOutput whether output is held from this boundary on
     * @param run verifies every page in the hold; null: none does
     */
    Result boundary(long epoch, boolean holdsOutput, @Nullable VerifyRun run) throws LockstepException, LinuxException {
        approach(epoch);
        int room = pagesHeldMax + settings.scrubPagesPerEpoch() + CONTROL_SLOTS;
        pipeline.awaitFree(room, settings.failureTimeoutMs());
        Result result = hold(epoch, pagesHeldMax, holdsOutput, run);
        if (result == Result.VOID) {
            capture.dropScrub();
        }
        capture.publish();
        switch (result) {
            case WHOLE -> {
                capture.learn();
                // While holds stay long they are the shortest way: trying short ones first would only add pauses.
                takeAll(pagesHeld > pagesHeldMax);
            }
            case OVERLOADED -> overloads++;
            case VOID -> capture.rereadEpoch();
        }
        return result;
    }

    /**
     * Holds the VM for a planned move: QEMU stays held, with its state whole, and what was read waits to be published. The VM runs on if this throws.
     *
     * @return whether it ran before
     * @throws LockstepException as {@link EpochLoop#freeze}
     */
    RunState freeze(long epoch, boolean holdsOutput, Handover handover) throws LockstepException, LinuxException {
        disks.flushAhead();
        if (!preCopied) {
            preCopy(epoch);
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
            holdOutput(holdsOutput);
            copyInHold(scanHeld(epoch, pagesHeldMax));
            ByteBuffer state = pipeline.deviceStateBytes().clear();
            handover.freeze(state, BOUNDARY_TIMEOUT_NS);
            stateBytes = state.remaining();
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
        return runState;
    }

    /** The planned move is off: the VM runs on. */
    void unfreeze(Handover handover) throws LockstepException {
        disks.draining(false);
        handover.release(BOUNDARY_TIMEOUT_NS);
    }

    /** What has been sent by this boundary belongs to the epoch; what comes after it waits. */
    private void holdOutput(boolean holds) {
        disks.mark();
        if (holds) {
            output.boundary();
        }
    }

    /** @param pagesMax most pages to read in the hold; {@link #NO_PAGES} only arms */
    private Result hold(long epoch, int pagesMax, boolean holdsOutput, @Nullable VerifyRun run)
            throws LockstepException, LinuxException {
        if (run == null) {
            guard.arm(System.nanoTime());
            urgency.begin();
        }
        disks.draining(true);
        save.begin();
        pipeline.quiet(true);
        boolean whole = false;
        boolean reached;
        try {
            reached = save.awaitBoundary(BOUNDARY_TIMEOUT_NS);
        } catch (LockstepException e) {
            // Nobody reads its state any more: QEMU gives it up, and the VM runs on.
            save.abort();
            throw e;
        }
        try {
            if (reached) {
                holdOutput(holdsOutput);
                int pages = scanHeld(epoch, pagesMax);
                scannedNs = System.nanoTime();
                pagesHeld = pages;
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
        return outcome != HeldSave.Outcome.COMPLETE ? Result.VOID : whole ? Result.WHOLE : Result.OVERLOADED;
    }

    /**
     * Lists what this hold is to read, and arms it unless a pre-copy has just done so; a set that is too large is armed in any case, because it is
     * copied while the guest runs.
     */
    private int scanHeld(long epoch, int pagesMax) throws LinuxException {
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
        dirtyPages = Math.max(0, pages - unarmedBefore) + preCopiedPages;
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
        letGo();
        pipeline.quiet(false);
        stateBytes = state.remaining();
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

    /** Says when the parts of the last hold, an epoch's end, were done. */
    void trace(long epoch) {
        EpochTrace.done(EpochStage.STOP, epoch, save.beginNs());
        if (stoppedNs() != 0) {
            EpochTrace.done(EpochStage.STOPPED, epoch, stoppedNs());
        }
        EpochTrace.done(EpochStage.BOUNDARY, epoch, save.boundaryNs());
        EpochTrace.done(EpochStage.SCANNED, epoch, scannedNs);
        EpochTrace.done(EpochStage.COPIED, epoch, copiedNs);
        if (stateReadNs() != 0) {
            EpochTrace.done(EpochStage.STATE_READ, epoch, stateReadNs());
        }
        EpochTrace.done(EpochStage.RESUMED, epoch, save.resumedNs());
    }
}
