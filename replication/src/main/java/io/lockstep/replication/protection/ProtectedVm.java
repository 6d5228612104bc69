package io.lockstep.replication.protection;

import io.lockstep.linux.EventCounter;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.disk.DiskProgress;
import io.lockstep.replication.disk.DiskReplication;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.hypervisor.PauseGuard;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.memory.DirtyLedger;
import io.lockstep.replication.memory.DirtyTracker;
import io.lockstep.replication.memory.FaultCost;
import io.lockstep.replication.memory.GuestMemory;
import io.lockstep.replication.memory.HotPages;
import io.lockstep.replication.memory.HugePageMerger;
import io.lockstep.replication.memory.LedgerIdentity;
import io.lockstep.replication.memory.MemoryRegion;
import io.lockstep.replication.memory.ScanVector;
import io.lockstep.replication.memory.TrackerFactory;
import io.lockstep.replication.memory.TrackerUnavailableException;
import io.lockstep.replication.network.HeldUntil;
import io.lockstep.replication.network.NetDevice;
import io.lockstep.replication.network.NetDevices;
import io.lockstep.replication.network.OutputHold;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineConfig;
import io.lockstep.replication.pipeline.PipelineCounters;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntSupplier;
import org.agrona.CloseHelper;
import org.agrona.concurrent.SystemEpochClock;
import org.agrona.concurrent.SystemNanoClock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One VM that this host runs and that is protected: its parts, its threads, and the verbs. Thread-safe.
 *
 * <p>Invariants: QEMU is left as it was found, or with a tracker that a successor adopts; nothing else of ours outlives this process in
 * it. No path leaves the VM paused.
 */
public final class ProtectedVm implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ProtectedVm.class);

    /** Large TLS writes, small enough that the peer journals one while the next is encoded. */
    private static final int BATCH_BYTES = 256 << 10;

    /** 32 kB to 170 kB are usual. */
    private static final int DEVICE_STATE_BYTES_MAX = 512 << 10;

    /** The capture thread's longest step: QEMU drains slow disks. */
    private static final long PROGRESS_TIMEOUT_NS = 15_000_000_000L;

    /** The peer reads our last words in this time, or the connection is cut. */
    private static final long CLOSE_TIMEOUT_MS = 1_000;

    /** The same for words that it answers when the VM runs there. */
    private static final long PROMOTED_TIMEOUT_MS = 5_000;

    private static final Set<LinkException.Kind> FINAL =
            EnumSet.of(LinkException.Kind.AUTHENTICATION, LinkException.Kind.VERSION, LinkException.Kind.REFUSED);

    private final ProtectionTicket ticket;
    private final AttachedVm vm;
    private final PeerAddress peer;
    private final ProtectionSettings settings;
    private final HandoverRecord handover;
    private final DirtyLedger ledger;
    private final DirtyTracker tracker;
    private final boolean adopted;
    private final EpochStatistics statistics = new EpochStatistics();
    private final SyncProgress sync = new SyncProgress();
    private final GuestMemory memory;
    private final HugePageMerger hugePages;
    private final PopulatedPages populated;
    private final Discards discards;
    private final PagePipeline pipeline;
    private final EpochCapture capture;
    private final HeldSave save;
    private final PauseGuard guard;
    private final EventCounter wake;
    private final OutputHold output;
    private final DiskReplication disks;
    private final SessionInbox inbox;
    private final CaptureDuty duty;
    private final PeerSession session;
    private final Thread thread;
    private final CompletableFuture<ProtectionState> ended = new CompletableFuture<>();
    private final long ackedBefore;
    private final long scannedBefore;
    private volatile long verifyPauseNs;
    private volatile boolean outputHeld;

    /** @param made gets what must be closed if this throws, or if protection does not begin, the last first */
    private ProtectedVm(
            ProtectionTicket ticket,
            AttachedVm vm,
            PeerAddress peer,
            LinkDialer dialer,
            IntSupplier ownHealth,
            ProtectionSettings settings,
            HandoverRecord handover,
            DirtyLedger ledger,
            TrackerFactory.Opened opened,
            List<AutoCloseable> made)
            throws LockstepException, IOException {
        this.ticket = ticket;
        this.vm = vm;
        this.peer = peer;
        this.settings = settings;
        this.handover = handover;
        this.ledger = ledger;
        tracker = opened.tracker();
        adopted = opened.adopted() && ledger.recovered();
        ackedBefore = adopted ? ledger.lastAcked() : -1;
        scannedBefore = adopted ? ledger.lastScanned() : -1;
        VmEvents events = VmEvents.listen(ticket.vmName(), vm.qmp(), handover::reported);
        memory = new GuestMemory(vm.process().pid(), vm.index());
        populated = vm.populatedPages();
        made.add(populated);
        discards = vm.discards();
        made.add(discards);
        HotPages hot = tracker.armsSelectively()
                ? new HotPages(vm.index(), settings.hotPagesMax(), FaultCost.measureNs(), vm.privateBlocks())
                : new HotPages(vm.index(), 0, 0, new BitSet());
        hugePages = new HugePageMerger(vm.process().pid(), ticket.vmName());
        made.add(hugePages);
        // Only what protects pages splits huge ones, and only its kernel says which they are.
        if (tracker.armsSelectively() && !opened.adopted()) {
            for (MemoryRegion region : vm.index().regions()) {
                if (vm.privateBlocks().get(region.block().index())) {
                    hugePages.remember(region);
                }
            }
        }
        pipeline = new PagePipeline(
                pipelineConfig(settings),
                r -> daemon(r, "pipeline-" + ticket.vmName()),
                counts -> {},
                hot::compared,
                SystemNanoClock.INSTANCE);
        made.add(pipeline);
        capture = new EpochCapture(vm.index(), tracker, discards, ledger, memory, populated, pipeline, hot, hugePages);
        DeviceWatch devices = new DeviceWatch(vm.qmp());
        save = new HeldSave(vm.qmp(), vm.pidfd());
        made.add(save);
        guard = new PauseGuard(save, settings.pauseMsMax() * 1_000_000L);
        made.add(guard);
        wake = new EventCounter();
        made.add(wake);
        output = new OutputHold(
                ticket.vmName(),
                vm.netDevices().stream().filter(NetDevice::holdable).toList(),
                settings.output().logBytes(),
                wake,
                statistics::released);
        made.add(output);
        Runnable awake = wake::signal;
        pipeline.onFailure(awake);
        disks = new DiskReplication(
                vm.mirroredDisks(),
                vm.blocks().size(),
                vm.qmp(),
                vm.process().pid(),
                pipeline,
                stateFile(settings, ticket, ".disks"),
                ticket.vmId() + "\n" + vm.process().identity(),
                awake);
        made.add(() -> {
            disks.close();
            disks.forget();
        });
        inbox = new SessionInbox(output::acknowledged, awake);
        VmHold hold = new VmHold(
                save,
                guard,
                events,
                vm.facts().earlyArmingSafe() && tracker.armsAtomically(),
                capture,
                output,
                disks,
                pipeline,
                settings);
        EpochLoop loop = new EpochLoop(
                hold,
                events,
                devices,
                capture,
                output,
                disks,
                pipeline,
                settings,
                statistics,
                sync,
                SystemEpochClock.INSTANCE,
                scannedBefore + 1);
        duty = new CaptureDuty(
                ticket.vmName(),
                vm,
                events,
                capture,
                loop,
                output,
                wake,
                new HeldUntil(settings.failureTimeoutMs()),
                pipeline,
                inbox,
                new End());
        session = new PeerSession(ticket.vmName(), peer, dialer, this::hello, ownHealth, settings, inbox);
        thread = daemon(duty, "capture-" + ticket.vmName());
    }

    private static PipelineConfig pipelineConfig(ProtectionSettings settings) {
        return new PipelineConfig(
                settings.ringSlots(),
                settings.encoderThreads(),
                settings.pageCacheBytes(),
                BATCH_BYTES,
                DEVICE_STATE_BYTES_MAX,
                Math.max(settings.scrubPagesPerEpoch(), 1),
                settings.failureTimeoutMs());
    }

    private static Thread daemon(Runnable body, String name) {
        Thread made = new Thread(body, name);
        made.setDaemon(true);
        return made;
    }

    /**
     * Starts protecting a VM, or goes on with it after a restart of the agent. Returns at once; {@link #state()} tells.
     *
     * @param vm examined; closed with this object, also if this throws
     * @param ownHealth of this host's hardware, as in {@link ReportedHealth}; any thread, must not wait
     * @throws LockstepException {@code agent-memory-full}, {@code device-state-too-small}, {@code no-tracker}, {@code attach-failed} or what the monitor said; QEMU is as it was
     */
    public static ProtectedVm start(
            ProtectionTicket ticket,
            AttachedVm vm,
            PeerAddress peer,
            LinkDialer dialer,
            IntSupplier ownHealth,
            ProtectionSettings settings,
            HandoverRecord handover)
            throws LockstepException {
        DirtyLedger ledger = null;
        DirtyTracker tracker = null;
        List<AutoCloseable> made = new ArrayList<>();
        boolean done = false;
        try {
            OutputHold.removeLeftovers(vm.qmp());
            vm.tryFilters();
            if (settings.output().held() && !settings.output().unheldAllowed()) {
                NetDevices.requireHoldable(vm.netDevices());
            }
            DiskReplication.removeLeftovers(vm.qmp());
            AgentMemory.check(vm, ticket.vmName(), settings);
            try (HeldSave trial = new HeldSave(vm.qmp(), vm.pidfd())) {
                trial.requireHoldable(ByteBuffer.allocateDirect(DEVICE_STATE_BYTES_MAX), PROGRESS_TIMEOUT_NS);
            }
            Files.createDirectories(settings.stateDirectory());
            ledger = DirtyLedger.open(
                    stateFile(settings, ticket, ".ledger"),
                    new LedgerIdentity(
                            ticket.vmId().toString(),
                            vm.process().identity(),
                            vm.index().regions()),
                    vm.index(),
                    DirtyLedger.SLOTS_DEFAULT,
                    ScanVector.ENTRIES_DEFAULT);
            TrackerFactory.Opened opened = TrackerFactory.open(
                    vm.process().pid(),
                    vm.index().regions(),
                    ledger.scanVector(),
                    ledger.recovered(),
                    settings.tracker().equals("auto") ? null : settings.tracker(),
                    settings.scanThreads());
            tracker = opened.tracker();
            ProtectedVm started =
                    new ProtectedVm(ticket, vm, peer, dialer, ownHealth, settings, handover, ledger, opened, made);
            LOG.info(
                    "{}: tracker {}, {} RAM blocks, {} MiB, {}",
                    ticket.vmName(),
                    tracker.name(),
                    vm.blocks().size(),
                    vm.ramBytes() >> 20,
                    started.adopted ? "adopted from the agent before" : "new");
            started.begin();
            started.session.start();
            started.thread.start();
            done = true;
            return started;
        } catch (TrackerUnavailableException e) {
            throw new LockstepException("no-tracker", e.getMessage() + ". `lockstep doctor` names the cures.", e);
        } catch (IOException e) {
            throw new LockstepException(
                    "attach-failed", "cannot attach to " + vm.process().label() + ": " + e.getMessage(), e);
        } finally {
            if (!done) {
                Collections.reverse(made);
                CloseHelper.quietCloseAll(made);
                undo(vm, ledger, tracker);
            }
        }
    }

    private static Path stateFile(ProtectionSettings settings, ProtectionTicket ticket, String suffix) {
        return settings.stateDirectory().resolve(VmDirectory.encode(ticket.vmName()) + suffix);
    }

    /** Filters are the last thing that can be refused; frames pass them until there is an epoch to hold them for. */
    private void begin() throws LockstepException {
        outputHeld = settings.output().held();
        if (outputHeld) {
            duty.mode(true);
        }
    }

    private static void undo(AttachedVm vm, @Nullable DirtyLedger ledger, @Nullable DirtyTracker tracker) {
        try {
            if (tracker != null) {
                tracker.detach();
            }
            if (ledger != null) {
                ledger.delete();
            }
        } catch (IOException e) {
            LOG.warn("undoing the attachment to {}: {}", vm.process().label(), e.getMessage());
        }
        vm.close();
    }

    /** What the peer must know; on the session's thread, anew for each session. */
    private SessionHello hello(int version) {
        return ticket.hello(
                version,
                vm,
                settings,
                Math.max(ackedBefore, duty.ackedEpoch()),
                Math.max(scannedBefore, duty.begunEpoch()),
                disks.imagesId());
    }

    /** Everything of ours leaves QEMU, unless the agent merely stops; on the capture thread, at its end. */
    private void cleanUp(ProtectionState state, String reason) {
        try {
            letGo(state);
        } catch (RuntimeException | Error e) {
            LOG.error("{}: letting go of the VM failed", ticket.vmName(), e);
        } finally {
            LOG.info("{}: protection ended, {}: {}", ticket.vmName(), state, reason);
            try {
                handover.ended(state, duty.unheard());
            } finally {
                ended.complete(state);
            }
        }
    }

    /** QEMU's part first: what fails in our own cannot leave anything in it. */
    private void letGo(ProtectionState state) {
        session.closeInOrder(state.qemuGone() ? PROMOTED_TIMEOUT_MS : CLOSE_TIMEOUT_MS);
        duty.takeLastAnswers();
        releaseOutput(state);
        releaseDisks(state);
        guard.close();
        save.close();
        boolean leaves = state.terminal() && !state.qemuGone();
        try {
            if (leaves) {
                tracker.detach();
            }
            tracker.close();
            if (state.terminal()) {
                ledger.delete();
            } else {
                ledger.close();
            }
        } catch (IOException e) {
            LOG.warn("{}: cleaning up: {}", ticket.vmName(), e.getMessage());
        }
        if (leaves) {
            hugePages.restore();
        } else {
            hugePages.close();
        }
        vm.close();
        wake.close();
        discards.close();
        populated.close();
        pipeline.close();
    }

    /** Before the servers end, so that QEMU has nothing to complain of. */
    private void releaseDisks(ProtectionState state) {
        try {
            if (!state.qemuGone()) {
                disks.remove(state.terminal());
            }
        } catch (LockstepException e) {
            LOG.warn("{}: the mirrors of its disks: {}", ticket.vmName(), e.getMessage());
        } finally {
            disks.close();
        }
        if (state.terminal()) {
            try {
                disks.forget();
            } catch (IOException e) {
                LOG.warn("{}: cleaning up: {}", ticket.vmName(), e.getMessage());
            }
        }
    }

    /** Frames that are held leave while there is a QEMU that can send them. */
    private void releaseOutput(ProtectionState state) {
        try {
            if (state.qemuGone()) {
                output.close();
            } else {
                output.remove(vm.qmp());
            }
        } catch (LockstepException e) {
            LOG.warn("{}: filters not removed: {}", ticket.vmName(), e.getMessage());
        }
    }

    /**
     * Switches between {@code lockstep} and {@code async} while the VM runs.
     *
     * @return completes when it is so; with the refusal of a netdev that cannot be held
     */
    public CompletableFuture<Boolean> holdOutput(boolean held) {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        duty.post(() -> {
            try {
                if (held && !settings.output().unheldAllowed()) {
                    NetDevices.requireHoldable(vm.netDevices());
                }
                duty.mode(held);
                outputHeld = held;
                done.complete(held);
            } catch (LockstepException e) {
                done.completeExceptionally(e);
            }
        });
        var unused = ended.thenAccept(s -> done.completeExceptionally(
                new LockstepException("not-protected", "protection ended: " + s + ", " + duty.stateReason())));
        return done;
    }

    /** Whether output waits for the peer: {@code lockstep}, not {@code async}. */
    public boolean outputHeld() {
        return outputHeld;
    }

    /** The held output. */
    public OutputHold output() {
        return output;
    }

    /** Netdevs whose output is not held. */
    public List<NetDevice> unheld() {
        return vm.netDevices().stream()
                .filter(device -> !outputHeld || !device.holdable())
                .toList();
    }

    /** Ends protection and leaves QEMU as it was found; the peer drops its replica. */
    public CompletableFuture<ProtectionState> unprotect() {
        duty.post(() -> duty.released(true, "unprotect"));
        return ended;
    }

    /**
     * Moves the VM to its peer as planned, with nothing lost.
     *
     * @return completes with the time from the stop here to the peer's word that it runs there, in nanoseconds
     */
    public CompletableFuture<Long> switchover() {
        CompletableFuture<Long> done = new CompletableFuture<>();
        duty.post(() -> {
            try {
                done.complete(duty.switchover(save, session::standbyReady));
            } catch (LockstepException e) {
                done.completeExceptionally(e);
            }
        });
        var unused = ended.thenAccept(s -> done.completeExceptionally(
                new LockstepException("not-protected", "protection ended: " + s + ", " + duty.stateReason())));
        return done;
    }

    /** Compares every page at one stop. */
    public CompletableFuture<VerifyResult> verify() {
        VerifyRun run = new VerifyRun(vm.index(), new GuestMemory(vm.process().pid(), vm.index()), populated);
        duty.post(() -> duty.verify(run));
        var unused = ended.thenAccept(s ->
                run.result().completeExceptionally(new LockstepException("not-protected", "protection ended: " + s)));
        return run.result().whenComplete((r, e) -> verifyPauseNs = run.pauseNs());
    }

    /** Tells the peer that this agent comes back, and lets go of the VM without ending its tracking. */
    @Override
    public void close() {
        duty.post(() -> duty.goodbye("the agent stops"));
        ended.join();
    }

    /** Completes when protection has ended, or this was closed. */
    public CompletableFuture<ProtectionState> ended() {
        return ended;
    }

    /** The VM and its names. */
    public ProtectionTicket ticket() {
        return ticket;
    }

    /** What was examined at the start. */
    public AttachedVm vm() {
        return vm;
    }

    /** Where the replica is. */
    public PeerAddress peer() {
        return peer;
    }

    /** As asked for. */
    public ProtectionSettings settings() {
        return settings;
    }

    /** What the peer told of drills of its replica; any thread. */
    public DrillReport drill() {
        return inbox.drill();
    }

    /** Which tracker is in use. */
    public String trackerName() {
        return tracker.name();
    }

    /** Where it stands. */
    public ProtectionState state() {
        return duty.state();
    }

    /** Why. */
    public String stateReason() {
        return duty.stateReason();
    }

    /** Since when, milliseconds since 1970. */
    public long stateSinceMs() {
        return duty.stateSinceMs();
    }

    /** What went wrong last; null if nothing did. */
    public @Nullable LockstepException lastError() {
        return duty.lastError();
    }

    /** A refusal of the peer that trying again does not mend; null if there is none. */
    public @Nullable LockstepException refusal() {
        return duty.lastError() instanceof LinkException link && FINAL.contains(link.kind()) ? link : null;
    }

    /** Whether the peer's last word was that a standby waits there. */
    public boolean standbyReady() {
        return session.standbyReady();
    }

    /** How the peer's hardware fares by its last word, as in {@link ReportedHealth}. */
    public int peerHealth() {
        return session.peerHealth();
    }

    /** How long the VM stood still for the last {@link #verify}; 0 if there was none. */
    public long lastVerifyPauseNs() {
        return verifyPauseNs;
    }

    /** When that was, milliseconds since 1970. */
    public long lastErrorMs() {
        return duty.lastErrorMs();
    }

    /** The epoch under way; -1 before the first. */
    public long epoch() {
        return duty.begunEpoch();
    }

    /** Last epoch that the peer acknowledged; -1 if none. */
    public long ackedEpoch() {
        return duty.ackedEpoch();
    }

    /** Times and page counts. */
    public EpochStatistics statistics() {
        return statistics;
    }

    /** How far the first copy is. */
    public SyncProgress sync() {
        return sync;
    }

    /** How the copies of its disks stand, those that travel. */
    public List<DiskProgress> disks() {
        return disks.progress();
    }

    /** Bytes read of its disks to copy them, since this agent began to protect it. */
    public long diskBytesRead() {
        return disks.readBytes();
    }

    /** What went over the link, by encoding. */
    public PipelineCounters counters() {
        return pipeline.counters();
    }

    /** Pages whose hashes were compared so far, and those that differed. */
    public long scrubbedPages() {
        return capture.scrubbed();
    }

    /** Pages that differed in a scrub, since the start. */
    public long scrubMismatches() {
        return duty.scrubMismatches();
    }

    /** Sessions that went on from the last acknowledged epoch. */
    public int resumedSessions() {
        return duty.resumedSessions();
    }

    /** Whether it went on with the tracker of the agent before. */
    public boolean adopted() {
        return adopted;
    }

    /** {@link System#nanoTime()} of the capture thread's last cycle. */
    public long progressNs() {
        return duty.rounds().lastNs();
    }

    /**
     * How regularly its threads come round: {@code capture}, {@code pause-guard}, {@code output}, {@code session}, {@code heartbeat}, and those of
     * {@link PagePipeline#rounds()}, {@link DirtyTracker#rounds()} and {@link DiskReplication#rounds()}. Any thread.
     */
    public Map<String, DutyCycle> rounds() {
        Map<String, DutyCycle> rounds = pipeline.rounds();
        rounds.put("capture", duty.rounds());
        rounds.put("pause-guard", guard.rounds());
        rounds.put("output", output.rounds());
        rounds.putAll(tracker.rounds());
        rounds.putAll(disks.rounds());
        rounds.put("session", session.receiving());
        rounds.put("heartbeat", session.keeping());
        return rounds;
    }

    /** How old that may be before the thread counts as stuck. */
    public long progressTimeoutNs() {
        return PROGRESS_TIMEOUT_NS + settings.verifyPauseMsMax() * 1_000_000L;
    }

    /** What is written down before this host's QEMU is ended for good. */
    @FunctionalInterface
    public interface HandoverRecord {
        /** Durable when it returns: the VM belongs to the peer from this epoch on; -1: it does not. */
        void handingOver(long epoch) throws LockstepException;

        /** The protection's state changed. On the capture thread, never in a pause; must not wait. */
        default void stateChanged(ProtectionState from, ProtectionState to, String reason) {}

        /** QEMU reported something of the VM, also what means nothing to its protection. On the capture thread; must not wait. */
        default void reported(QmpEvent event) {}

        /**
         * Protection has ended, and {@link ProtectedVm#ended()} tells so once this returns: who waits for that finds written down what it means. On
         * the capture thread, at its end.
         *
         * @param unheard what the peer must hear of the VM's end and has not answered: {@link ControlMessage.VmDied} or
         *     {@link ControlMessage.Released}; null if there is nothing
         */
        default void ended(ProtectionState state, @Nullable ControlMessage unheard) {}
    }

    private final class End implements CaptureDuty.EndListener {
        @Override
        public void ended(ProtectionState state, String reason) {
            cleanUp(state, reason);
        }

        @Override
        public void handingOver(long epoch) throws LockstepException {
            handover.handingOver(epoch);
        }

        @Override
        public void stateChanged(ProtectionState from, ProtectionState to, String reason) {
            handover.stateChanged(from, to, reason);
        }
    }
}
