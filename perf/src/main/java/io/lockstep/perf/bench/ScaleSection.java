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

/** What a VM's size costs, with most of its memory never touched, as with most VMs; and what many VMs cost. */
final class ScaleSection implements Section {
    private static final List<Integer> MIB = List.of(256, 1024, 4096, 16_384);
    private static final List<Integer> THREADS = List.of(1, 2, 4);
    private static final int MANY = 16;
    private static final List<Integer> VMS = List.of(1, 4, MANY);
    /** The first copy of more would take most of a quick run's time; idle memory is scanned without one. */
    private static final List<Integer> QUICK_MIB = List.of(256, 1024);

    private static final int SCANNED_MIB = 4096;
    private static final String CHAIN = "mb=64 pages=20 sweep=32 hz=100";
    private static final String SMALL_CHAIN = "mb=8 pages=20 sweep=0 hz=20";
    private static final int SMALL_MIB = 32;

    /** An epoch of each of 16 VMs takes some ms of a processor: two cores have time for all of them within this. */
    private static final int MANY_EPOCH_MS = 100;

    private static final double GOAL_TWO_THREADS = 0.6;

    @Override
    public String name() {
        return "scale";
    }

    @Override
    public int quickSeconds() {
        return 45;
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
        vms(context, report);
    }

    private void sizes(BenchContext context, BenchReport report, Lab lab, List<Integer> sizes) throws Exception {
        List<double[]> points = new ArrayList<>();
        Trace trace = Trace.startOnPrimary(lab);
        for (int mib : sizes) {
            String vm = "size-" + mib;
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, mib, CHAIN), lab.directory())) {
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
                points.add(new double[] {mib, pauseMs, scanMs});
                lab.primary().unprotect(vm);
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

    /** Without the JIT's compilers, which are busy for minutes after a start. */
    private static double ownSeconds(Lab lab) throws Exception {
        double sum = cpuSeconds(lab);
        for (long pid : lab.agentPids()) {
            sum -= Proc.compilerSeconds(pid);
        }
        return sum;
    }

    /** Processor time of the agents for each VM's epoch, without their JITs' compilers. */
    private record Together(int count, double cpuMs) {}

    /**
     * So many VMs under the same two agents: processor time of the agents for each VM's epoch, and resident memory. The lone VM is measured last, when
     * the others are let go but still run: the agents' code is compiled by then, and the machine as busy.
     */
    private void vms(BenchContext context, BenchReport report) throws Exception {
        List<BenchGuest> guests = new ArrayList<>();
        List<Together> all = new ArrayList<>();
        try (Lab lab = new Lab(context, MANY_EPOCH_MS, "\n[pipeline]\nringSlots = 1024\npageCacheBytes = 8388608\n")) {
            for (int count : context.quick() ? List.of(1, MANY) : VMS) {
                int before = guests.size();
                List<BenchGuest.Spec> more = new ArrayList<>();
                for (int i = before; i < count; i++) {
                    more.add(BenchGuest.Spec.micro(context, "many-" + i, SMALL_MIB, SMALL_CHAIN));
                }
                guests.addAll(BenchGuest.bootAll(context, more, lab.directory()));
                lab.protectAll(names(before, count));
                lab.awaitEpochs("many-0", context.pick(3, 100));
                report.add(Figure.of(
                        name(),
                        count + " VMs: resident memory of the primary's agent",
                        Proc.residentBytes(lab.agentPids().get(0)) / 1e6,
                        "MB"));
                if (count > 1) {
                    all.add(together(context, report, lab, count));
                }
            }
            lab.unprotectAll(names(1, MANY));
            lab.awaitEpochs("many-0", context.pick(3, 100));
            double oneMs = together(context, report, lab, 1).cpuMs;
            for (Together some : all) {
                Figure figure = cpu(some).against("one VM alone", oneMs);
                report.add(some.count == MANY ? figure.atMost(1.0) : figure);
            }
            report.add(cpu(new Together(1, oneMs)));
        } finally {
            for (BenchGuest guest : guests) {
                guest.close();
            }
        }
    }

    private Together together(BenchContext context, BenchReport report, Lab lab, int count) throws Exception {
        // One answer for all of them: on a machine that is full, one for each would come seconds apart.
        Counters before = Counters.now(lab);
        double cpuBefore = ownSeconds(lab);
        lab.awaitEpochs("many-0", context.pick(count == 1 ? 20 : 8, 400));
        Counters after = Counters.now(lab);
        double cpuS = ownSeconds(lab) - cpuBefore;
        double epochs = 0;
        for (String vm : names(0, count)) {
            epochs += after.epochs(before, vm);
        }
        report.add(Figure.of(name(), count + " VMs: pause of the first, mean", after.pauseMs(before, "many-0"), "ms"));
        double cpuMs = cpuS * 1e3 / epochs;
        return new Together(count, cpuMs);
    }

    private Figure cpu(Together some) {
        return Figure.of(
                name(),
                some.count + " VMs: processor time of both agents without the JIT, an epoch of one VM",
                some.cpuMs,
                "ms");
    }

    private static List<String> names(int from, int to) {
        List<String> names = new ArrayList<>();
        for (int i = from; i < to; i++) {
            names.add("many-" + i);
        }
        return names;
    }
}
