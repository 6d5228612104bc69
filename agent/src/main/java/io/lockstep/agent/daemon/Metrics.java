package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentVersion;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.metrics.Metric;
import io.lockstep.agent.metrics.MetricsText;
import io.lockstep.agent.view.DrillView;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.OutputView;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.protection.EpochStatistics;
import io.lockstep.replication.protection.EpochStatistics.Distribution;
import io.lockstep.replication.protection.EpochStatistics.Measure;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.protection.ProtectionState;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** The daemon's metrics: read from what the duty cycles publish, so that a scrape disturbs none of them. */
final class Metrics {
    private static final double NS_PER_S = 1e9;
    private static final double MS_PER_S = 1e3;

    /** From a tenth of a millisecond, below which no pause is, to a minute. */
    private static final double[] SECONDS = {
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60
    };

    private static final double[] PAGES = {1, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 1_000_000};

    private static final List<String> HEALTH = List.of("healthy", "watch", "degrading", "failing", "failed");

    private Metrics() {}

    /**
     * All of them.
     *
     * @param cycles by a word, and the VM's name if the thread is a VM's; those of protected VMs are not among them
     */
    static String text(
            VmOperations operations,
            List<ProtectedVm> active,
            Map<String, DutyCycle> cycles,
            UnaryOperator<String> names) {
        MetricsText text = new MetricsText();
        text.add(
                Metric.BUILD_INFO,
                1,
                "version",
                AgentVersion.TEXT,
                "java",
                Runtime.version().toString());
        text.add(Metric.UPTIME, operations.agent().uptimeMs() / MS_PER_S);
        operations.protections().forEach(p -> protection(text, p, names.apply(p.vm())));
        active.forEach(vm -> statistics(text, vm, names.apply(vm.ticket().vmName())));
        cycles.forEach((cycle, rounds) -> {
            int name = cycle.indexOf(' ') + 1;
            rounds(text, name == 0 ? cycle : cycle.substring(0, name) + names.apply(cycle.substring(name)), rounds);
        });
        long promotions = 0;
        for (ReplicaView replica : operations.replicas()) {
            replica(text, replica, names.apply(replica.vm()));
            promotions += replica.promotion() == null ? 0 : 1;
        }
        text.add(Metric.PROMOTIONS, promotions);
        hardware(text, operations.hardware());
        EdacMetrics.add(text);
        JvmMetrics.add(text);
        return text.render();
    }

    private static void protection(MetricsText text, ProtectionStatus p, String vm) {
        text.add(Metric.PROTECTION_STATE, p.state().code(), "vm", vm);
        text.add(Metric.PROTECTED, isProtected(p) ? 1 : 0, "vm", vm);
        text.add(Metric.EPOCH, p.epoch(), "vm", vm);
        text.add(Metric.EPOCH_ACKED, p.ackedEpoch(), "vm", vm);
        text.add(Metric.LAG, Math.max(0, p.epoch() - p.ackedEpoch()), "vm", vm);
        text.add(Metric.ENCODED_BYTES, p.encoding().zeroBytes(), "vm", vm, "encoding", "zero");
        text.add(Metric.ENCODED_BYTES, p.encoding().deltaBytes(), "vm", vm, "encoding", "delta");
        text.add(Metric.ENCODED_BYTES, p.encoding().lz4Bytes(), "vm", vm, "encoding", "lz4");
        text.add(Metric.ENCODED_BYTES, p.encoding().rawBytes(), "vm", vm, "encoding", "raw");
        text.add(Metric.ENCODED_BYTES, p.encoding().referenceBytes(), "vm", vm, "encoding", "reference");
        text.add(Metric.UNCHANGED_PAGES, p.encoding().unchangedPages(), "vm", vm);
        text.add(Metric.LINK_BYTES, p.linkBytes(), "vm", vm);
        text.add(
                Metric.LINK_CONNECTED,
                p.peer().connected() ? 1 : 0,
                "vm",
                vm,
                "peer",
                p.peer().name());
        OutputView output = p.output();
        text.add(Metric.OUTPUT_HELD, output.heldBytes(), "vm", vm);
        text.add(Metric.OUTPUT_FRAMES, output.frames(), "vm", vm);
        text.add(Metric.OUTPUT_DROPPED, output.droppedFrames(), "vm", vm);
        text.add(Metric.SCRUBBED_PAGES, p.scrub().pages(), "vm", vm);
        text.add(Metric.SCRUB_MISMATCHES, p.scrub().mismatches(), "vm", vm);
        text.add(Metric.AGENT_RESTARTS, p.restarts(), "vm", vm);
        text.add(Metric.FULL_COPIES, p.fullCopies(), "vm", vm);
    }

    /** A VM whose drills did not go well is protected all the same. */
    private static boolean isProtected(ProtectionStatus p) {
        int code = p.state().code();
        return code == ProtectionState.PROTECTED.code() || code == ProtectionState.DEGRADED.code();
    }

    private static void statistics(MetricsText text, ProtectedVm held, String vm) {
        EpochStatistics statistics = held.statistics();
        seconds(text, Metric.PAUSE, statistics, Measure.PAUSE, vm);
        seconds(text, Metric.EPOCH_LENGTH, statistics, Measure.EPOCH, vm);
        seconds(text, Metric.ACKNOWLEDGE, statistics, Measure.ACKNOWLEDGE, vm);
        seconds(text, Metric.LAG_SECONDS, statistics, Measure.LAG, vm);
        seconds(text, Metric.RELEASE, statistics, Measure.RELEASE, vm);
        long[] bounds = new long[PAGES.length];
        for (int i = 0; i < bounds.length; i++) {
            bounds[i] = (long) PAGES[i];
        }
        Distribution pages = statistics.distribution(Measure.DIRTY_PAGES, bounds);
        text.histogram(Metric.DIRTY_PAGES, PAGES, pages.cumulative(), pages.count(), pages.sum(), "vm", vm);
        held.rounds().forEach((thread, rounds) -> rounds(text, thread + " " + vm, rounds));
    }

    private static void rounds(MetricsText text, String cycle, DutyCycle rounds) {
        text.add(Metric.DUTY_CYCLE_AGE, rounds.ageNs(System.nanoTime()) / NS_PER_S, "cycle", cycle);
        text.add(Metric.DUTY_CYCLE_STALLS, rounds.stalls(), "cycle", cycle);
        text.add(Metric.DUTY_CYCLE_STALLED, rounds.stalledNs() / NS_PER_S, "cycle", cycle);
    }

    private static void seconds(
            MetricsText text, Metric metric, EpochStatistics statistics, Measure measure, String vm) {
        long[] bounds = new long[SECONDS.length];
        for (int i = 0; i < bounds.length; i++) {
            bounds[i] = Math.round(SECONDS[i] * NS_PER_S);
        }
        Distribution ns = statistics.distribution(measure, bounds);
        text.histogram(metric, SECONDS, ns.cumulative(), ns.count(), ns.sum() / NS_PER_S, "vm", vm);
    }

    private static void replica(MetricsText text, ReplicaView r, String vm) {
        text.add(Metric.REPLICA_STATE, r.state().code(), "vm", vm);
        text.add(Metric.REPLICA_COMMITTED, r.committedEpoch(), "vm", vm);
        text.add(Metric.REPLICA_APPLIED, r.appliedEpoch(), "vm", vm);
        text.add(Metric.STANDBY_READY, r.standbyReady() ? 1 : 0, "vm", vm);
        text.add(Metric.LINK_SILENCE, r.linkSilentMs() < 0 ? -1 : r.linkSilentMs() / MS_PER_S, "vm", vm);
        text.add(Metric.JOURNAL_EPOCHS, r.journalEpochs(), "vm", vm);
        text.add(Metric.JOURNAL_BYTES, r.journalBytes(), "vm", vm);
        DrillView drill = r.drill();
        if (!drill.state().equals(DrillView.NONE)) {
            text.add(Metric.DRILL_OK, drill.state().equals(DrillView.PASSED) ? 1 : 0, "vm", vm);
        }
        text.add(Metric.DRILLS, drill.runs() - drill.failures(), "vm", vm, "result", "passed");
        text.add(Metric.DRILLS, drill.failures(), "vm", vm, "result", "failed");
        text.add(Metric.DRILL_SECONDS, drill.error() != null ? -1 : drill.totalMs() / MS_PER_S, "vm", vm);
        text.add(Metric.DRILL_LAST, drill.lastMs() / MS_PER_S, "vm", vm);
    }

    private static void hardware(MetricsText text, HardwareView hardware) {
        text.add(Metric.HARDWARE_STATE, HEALTH.indexOf(hardware.state()), "component", "host");
        for (HardwareView.Part part : hardware.parts()) {
            text.add(Metric.HARDWARE_STATE, HEALTH.indexOf(part.state()), "component", part.component());
            text.add(Metric.HARDWARE_ERRORS, part.corrected(), "component", part.component(), "severity", "corrected");
            text.add(
                    Metric.HARDWARE_ERRORS,
                    part.uncorrected(),
                    "component",
                    part.component(),
                    "severity",
                    "uncorrected");
        }
        for (HardwareView.Source source : hardware.sources()) {
            text.add(Metric.HARDWARE_SOURCE, source.status().equals("present") ? 1 : 0, "source", source.name());
            text.add(Metric.HARDWARE_SOURCE_EVENTS, source.events(), "source", source.name());
            text.add(Metric.HARDWARE_SOURCE_LOST, source.lost(), "source", source.name());
        }
    }
}
