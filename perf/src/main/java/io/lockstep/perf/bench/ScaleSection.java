package io.lockstep.perf.bench;

import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.replication.hypervisor.HostRamBlock;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.RamBlockFinder;
import io.lockstep.replication.memory.DirtyTracker;
import io.lockstep.replication.memory.MemoryRegion;
import io.lockstep.replication.memory.ScanVector;
import io.lockstep.replication.memory.UserfaultTracker;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What a VM's size costs, with most of its memory never touched, as with most VMs. */
final class ScaleSection implements Section {
    private static final List<Integer> MIB = List.of(256, 1024, 4096, 16_384);
    private static final List<Integer> THREADS = List.of(1, 2, 4);
    /** The first copy of more would take most of a quick run's time; idle memory is scanned without one. */
    private static final List<Integer> QUICK_MIB = List.of(256, 1024);

    private static final int SCANNED_MIB = 4096;

    /** Beside the VM's and its replica's memory: two agents, QEMU's own, and what else runs here. */
    private static final int OTHERS_MIB = 3072;

    private static final String CHAIN = "mb=64 pages=20 sweep=32 hz=100";

    private static final double GOAL_TWO_THREADS = 0.6;

    @Override
    public String name() {
        return "scale";
    }

    @Override
    public int quickSeconds() {
        return 25;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Lab lab = context.agents().warm(context);
        sizes(context, report, lab, context.quick() ? QUICK_MIB : MIB);
        if (context.quick()) {
            String vm = "idle-" + SCANNED_MIB;
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, SCANNED_MIB, CHAIN), lab.directory())) {
                scans(context, report, guest, lab.directory(), SCANNED_MIB);
            }
        }
    }

    private void sizes(BenchContext context, BenchReport report, Lab lab, List<Integer> sizes) throws Exception {
        List<double[]> points = new ArrayList<>();
        Trace trace = Trace.startOnPrimary(lab);
        for (int mib : sizes) {
            String vm = "size-" + mib;
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, mib, CHAIN), lab.directory())) {
                long freeMib = Proc.availableMib();
                if (freeMib < 2L * mib + OTHERS_MIB) {
                    report.note(
                            name(),
                            mib + " MiB: its pauses are left out: a VM of this size and its replica may take "
                                    + (2L * mib + OTHERS_MIB) + " MiB, and " + freeMib + " MiB are available");
                } else {
                    points.add(protectedSize(context, report, lab, guest, trace, mib));
                }
                if (!context.quick()) {
                    scans(context, report, guest, lab.directory(), mib);
                }
            }
        }
        trace.stop();
        double[] x = points.stream().mapToDouble(p -> p[0]).toArray();
        report.add(new Plot("scale", "Pause by memory size", "MiB", "milliseconds", true)
                .series("pause p50", x, points.stream().mapToDouble(p -> p[1]).toArray())
                .series("scan p50", x, points.stream().mapToDouble(p -> p[2]).toArray()));
    }

    /** Its size, and the pause and the scan in it, milliseconds. */
    private double[] protectedSize(
            BenchContext context, BenchReport report, Lab lab, BenchGuest guest, Trace trace, int mib)
            throws Exception {
        String vm = guest.name();
        lab.protectWarm(vm, context.pick(20, 40));
        long beganNs = System.nanoTime();
        double cpuBefore = cpuSeconds(lab);
        long epochBefore = lab.primary().protection(vm).ackedEpoch();
        ProtectionStatus status = lab.awaitEpochs(vm, context.pick(25, 400));
        long endedNs = System.nanoTime();
        double cpuMs = (cpuSeconds(lab) - cpuBefore) * 1e3 / (status.ackedEpoch() - epochBefore);
        guest.awaitTicks(1);
        Trace.Recorded recorded = trace.between(beganNs, endedNs);
        double pauseMs = p50Ms(LatencySection.Part.PAUSE, recorded);
        double scanMs = p50Ms(LatencySection.Part.SCAN, recorded);
        report.add(Figure.of(name(), mib + " MiB: pause p50", pauseMs, "ms"));
        report.add(Figure.of(name(), mib + " MiB: scan in the pause p50", scanMs, "ms"));
        report.add(Figure.of(name(), mib + " MiB: processor time of both agents, an epoch", cpuMs, "ms"));
        lab.primary().unprotect(vm);
        return new double[] {mib, pauseMs, scanMs};
    }

    private static double p50Ms(LatencySection.Part part, Trace.Recorded recorded) {
        return LatencySection.histogram(part, recorded, SharedLab.EPOCH_MS).getValueAtPercentile(50) / 1e6;
    }

    private static double cpuSeconds(Lab lab) throws Exception {
        double sum = 0;
        for (long pid : lab.agentPids()) {
            sum += Proc.cpuSeconds(pid);
        }
        return sum;
    }

    /** Arming scans of a QEMU's memory that nobody writes, by 1, 2 and 4 threads in turn. */
    private void scans(BenchContext context, BenchReport report, BenchGuest guest, Path directory, int mib)
            throws Exception {
        try (QmpConnection qmp = BenchGuest.monitor(directory, guest.name())) {
            qmp.execute("stop");
            List<MemoryRegion> regions = new ArrayList<>();
            for (HostRamBlock block : new RamBlockFinder(qmp, guest.pid()).find()) {
                regions.add(new MemoryRegion(block.block(), block.hostAddress()));
            }
            double[][] ns = new double[THREADS.size()][context.pick(2, 20)];
            for (int round = 0; round < ns[0].length; round++) {
                for (int i = 0; i < ns.length; i++) {
                    ns[i][round] = scanNs(guest.pid(), regions, THREADS.get(i));
                }
            }
            double one = median(ns[0]);
            for (int i = 0; i < ns.length; i++) {
                int threads = THREADS.get(i);
                Figure figure = Figure.of(
                                name(),
                                mib + " MiB: scan of idle memory, " + threads + " threads",
                                median(ns[i]) / 1e6,
                                "ms")
                        .against("one thread", one / 1e6);
                report.add(threads == 2 && mib >= 4096 ? figure.atMost(GOAL_TWO_THREADS) : figure);
            }
        }
    }

    /** The median of some scans right after each other. */
    private static double scanNs(long pid, List<MemoryRegion> regions, int threads) throws Exception {
        try (DirtyTracker tracker =
                UserfaultTracker.attach(pid, regions, new ScanVector(ScanVector.ENTRIES_DEFAULT), threads)) {
            double[] ns = new double[9];
            tracker.scanAndArm((start, end) -> {});
            for (int i = 0; i < ns.length; i++) {
                long beganNs = System.nanoTime();
                tracker.scanAndArm((start, end) -> {});
                ns[i] = System.nanoTime() - beganNs;
            }
            tracker.detach();
            return median(ns);
        }
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
