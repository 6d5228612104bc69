package io.lockstep.agent.daemon;

import io.lockstep.agent.policy.HostHealth;
import io.lockstep.agent.view.DiskView;
import io.lockstep.agent.view.DrillView;
import io.lockstep.agent.view.EncodingBytes;
import io.lockstep.agent.view.ErrorView;
import io.lockstep.agent.view.InitialSync;
import io.lockstep.agent.view.OutputView;
import io.lockstep.agent.view.PauseParts;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.Scrub;
import io.lockstep.agent.view.StateView;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.disk.DiskProgress;
import io.lockstep.replication.disk.GuestDisk;
import io.lockstep.replication.hypervisor.StandbyCommandLine;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.pipeline.Encoding;
import io.lockstep.replication.pipeline.PipelineCounters;
import io.lockstep.replication.protection.EpochStatistics;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.protection.ProtectionState;
import io.lockstep.replication.protection.SyncProgress;
import io.lockstep.replication.replica.PromotedVm;
import io.lockstep.replication.replica.ReplicaState;
import io.lockstep.replication.replica.ReplicaStatus;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What the management interface shows of protections and replicas. */
final class Views {
    private static final double NS_PER_MS = 1e6;
    private static final double NS_PER_S = 1e9;

    private Views() {}

    static ProtectionStatus protection(ProtectedVm vm, int restarts) {
        EpochStatistics statistics = vm.statistics();
        PipelineCounters counters = vm.counters();
        LockstepException error = vm.lastError();
        return new ProtectionStatus(
                vm.ticket().vmName(),
                vm.vm().process().pid(),
                Role.PRIMARY,
                state(vm),
                new PeerView(
                        vm.peer().name(),
                        vm.peer().address().getHostString() + ":"
                                + vm.peer().address().getPort(),
                        vm.peer().fingerprint(),
                        vm.state() == ProtectionState.PROTECTED
                                || vm.state() == ProtectionState.SYNCING
                                || vm.state() == ProtectionState.SWITCHING_OVER,
                        HostHealth.words(vm.peerHealth())),
                vm.trackerName(),
                vm.vm().ramBytes(),
                vm.vm().blocks().size(),
                vm.epoch(),
                vm.ackedEpoch(),
                vm.settings().epochMs(),
                milliseconds(statistics.epochNs()),
                milliseconds(statistics.pauseNs()),
                milliseconds(statistics.recentPauseNs()),
                new PauseParts(
                        milliseconds(statistics.stopNs()),
                        milliseconds(statistics.deviceStateNs()),
                        milliseconds(statistics.scanNs()),
                        milliseconds(statistics.copyNs()),
                        milliseconds(statistics.stateNs()),
                        milliseconds(statistics.startNs())),
                milliseconds(statistics.acknowledgeNs()),
                count(statistics.dirtyPages()),
                counters.messageBytes(),
                new EncodingBytes(
                        counters.bytes(Encoding.ZERO),
                        counters.bytes(Encoding.DELTA),
                        counters.bytes(Encoding.LZ4),
                        counters.bytes(Encoding.RAW),
                        counters.bytes(Encoding.REFERENCE),
                        counters.pages(Encoding.UNCHANGED)),
                initialSync(vm.sync(), vm.state()),
                disks(vm),
                new Scrub(vm.scrubbedPages(), vm.scrubMismatches()),
                output(vm),
                error == null
                        ? null
                        : new ErrorView(error.code(), String.valueOf(error.getMessage()), vm.lastErrorMs()),
                restarts,
                vm.resumedSessions(),
                vm.sync().copies());
    }

    private static List<DiskView> disks(ProtectedVm vm) {
        List<DiskView> list = new ArrayList<>();
        vm.disks().forEach(disk -> list.add(disk(disk)));
        for (GuestDisk shared : vm.vm().sharedDisks()) {
            list.add(disk(new DiskProgress(shared, false, 0, 0, 0)));
        }
        return list;
    }

    private static DiskView disk(DiskProgress progress) {
        ReplicatedDisk disk = progress.disk().disk();
        double seconds = progress.tookNs() / NS_PER_S;
        double rate = seconds > 0 ? progress.doneBytes() / seconds : 0;
        long left = progress.totalBytes() - progress.doneBytes();
        boolean over = progress.mirrored() || progress.disk().shared();
        return new DiskView(
                disk.device(),
                disk.file(),
                disk.format(),
                disk.lengthBytes(),
                progress.disk().shared(),
                progress.mirrored(),
                progress.doneBytes(),
                progress.totalBytes(),
                progress.tookNs() / NS_PER_MS,
                rate,
                over ? 0 : rate > 0 ? (long) (Math.max(0, left) / rate * 1000) : -1);
    }

    private static OutputView output(ProtectedVm vm) {
        boolean held = vm.outputHeld();
        return new OutputView(
                held ? "lockstep" : "async",
                vm.output().holding(),
                vm.unheld().stream()
                        .map(device -> device.name() + ", NIC " + device.nic() + ": "
                                + (device.holdable() ? "protection is async" : device.obstacle()))
                        .toList(),
                vm.output().heldBytes(),
                vm.output().frames(),
                vm.output().droppedFrames(),
                milliseconds(vm.statistics().releaseNs()));
    }

    static String label(ProtectionState state) {
        return state.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private static InitialSync initialSync(SyncProgress sync, ProtectionState state) {
        long done = sync.copiedBytes();
        long left = sync.pendingBytes();
        double seconds = sync.tookNs() / NS_PER_S;
        double rate = seconds > 0 ? done / seconds : 0;
        boolean complete = sync.copies() > 0 && state == ProtectionState.PROTECTED;
        long remainingMs = complete ? 0 : rate > 0 ? (long) (left / rate * 1000) : -1;
        return new InitialSync(
                done, done + left, sync.tookNs() / NS_PER_MS, rate, remainingMs, sync.passes(), complete);
    }

    static ReplicaView replica(
            ReplicaStatus status, String primaryName, String address, Path standbyDirectory, DrillView drill) {
        PromotedVm promoted = status.promotion();
        return new ReplicaView(
                status.vm(),
                state(status, drill),
                new PeerView(
                        primaryName,
                        address,
                        status.fingerprint(),
                        status.linkSilentNs() >= 0,
                        HostHealth.words(status.primaryHealth())),
                status.ramBytes(),
                status.committedEpoch(),
                status.appliedEpoch(),
                status.standbyReady(),
                status.standbyPid(),
                status.journalEpochs(),
                status.journalBytes(),
                status.linkSilentNs() < 0 ? -1 : status.linkSilentNs() / NS_PER_MS,
                promoted == null ? null : promotion(promoted, standbyDirectory),
                drill,
                error(status));
    }

    /** A drill that failed or is overdue makes a protected VM degraded. */
    private static StateView state(ReplicaStatus status, DrillView drill) {
        String trouble = Drills.trouble(drill);
        return status.state() == ReplicaState.PROTECTED && !trouble.isEmpty()
                ? new StateView(ReplicaState.DEGRADED.code(), ReplicaState.DEGRADED.label(), drill.lastMs(), trouble)
                : new StateView(status.state().code(), status.state().label(), status.sinceMs(), status.reason());
    }

    private static StateView state(ProtectedVm vm) {
        DrillReport drill = vm.drill();
        return vm.state() == ProtectionState.PROTECTED && drill.degrades()
                ? new StateView(
                        ProtectionState.DEGRADED.code(),
                        label(ProtectionState.DEGRADED),
                        drill.wallMs(),
                        "on peer " + vm.peer().name() + ", " + drill.cause())
                : new StateView(vm.state().code(), label(vm.state()), vm.stateSinceMs(), vm.stateReason());
    }

    private static @Nullable ErrorView error(ReplicaStatus status) {
        return status.lastErrorCode().isEmpty()
                ? null
                : new ErrorView(status.lastErrorCode(), status.lastError(), status.lastErrorMs());
    }

    static Promotion promotion(PromotedVm promoted, Path standbyDirectory) {
        return new Promotion(
                promoted.epoch(),
                promoted.reason().label(),
                promoted.detectNs() < 0 ? -1 : promoted.detectNs() / NS_PER_MS,
                promoted.tookNs() < 0 ? -1 : promoted.tookNs() / NS_PER_MS,
                promoted.pid(),
                StandbyCommandLine.qmpSocket(standbyDirectory).toString(),
                promoted.atMs());
    }

    private static Quantiles milliseconds(EpochStatistics.Percentiles ns) {
        return new Quantiles(ns.p50() / NS_PER_MS, ns.p99() / NS_PER_MS, ns.max() / NS_PER_MS);
    }

    private static Quantiles count(EpochStatistics.Percentiles pages) {
        return new Quantiles(pages.p50(), pages.p99(), pages.max());
    }
}
