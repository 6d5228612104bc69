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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a VM's size costs, with most of its memory never touched, as with most VMs; and what many VMs cost. */
final class ScaleSection implements Section {
    private static final List<Integer> MIB = List.of(256, 1024, 4096, 16_384);
    private static final List<Integer> THREADS = List.of(1, 2, 4);
    private static final List<Integer> MANY_VMS = List.of(4, 16);
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
        for (int mib : sizes) {
            String vm = "size-" + mib;
            try (BenchGuest guest =
                    BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, mib, CHAIN), lab.directory())) {
                lab.protectWarm(vm, context.pick(20, 40));
                double cpuBefore = cpuSeconds(lab);
                long epochBefore = lab.primary().protection(vm).ackedEpoch();
                ProtectionStatus status = lab.awaitEpochs(vm, context.pick(25, 400));
                double cpuMs = (cpuSeconds(lab) - cpuBefore) * 1e3 / (status.ackedEpoch() - epochBefore);
                guest.awaitTicks(1);
                double pauseMs = status.pauseMs().p50();
                double scanMs = status.pauseParts().scanMs().p50();
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
        double[] x = points.stream().mapToDouble(p -> p[0]).toArray();
        report.add(new Plot("scale", "Pause by memory size", "MiB", "milliseconds", true)
                .series("pause p50", x, points.stream().mapToDouble(p -> p[1]).toArray())
                .series("scan p50", x, points.stream().mapToDouble(p -> p[2]).toArray()));
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

    /**
     * So many VMs under the same two agents: processor time of the agents for each VM's epoch, and resident memory. One alone comes last: in agents
     * that have just started, most of what it costs is their compilers' work.
     */
    private void vms(BenchContext context, BenchReport report) throws Exception {
        List<BenchGuest> guests = new ArrayList<>();
        Map<Integer, Double> cpuMs = new LinkedHashMap<>();
        try (Lab lab = new Lab(context, MANY_EPOCH_MS, "\n[pipeline]\nringSlots = 1024\npageCacheBytes = 8388608\n")) {
            for (int count : context.quick() ? List.of(16) : MANY_VMS) {
                int before = guests.size();
                List<BenchGuest.Spec> more = new ArrayList<>();
                List<String> names = new ArrayList<>();
                for (int i = before; i < count; i++) {
                    names.add("many-" + i);
                    more.add(BenchGuest.Spec.micro(context, "many-" + i, SMALL_MIB, SMALL_CHAIN));
                }
                guests.addAll(BenchGuest.bootAll(context, more, lab.directory()));
                lab.protectAll(names);
                cpuMs.put(count, measured(context, report, lab, count));
            }
            for (BenchGuest other : guests.subList(1, guests.size())) {
                lab.primary().unprotect(other.name());
                other.close();
            }
            double one = measured(context, report, lab, 1);
            for (Map.Entry<Integer, Double> many : cpuMs.entrySet()) {
                Figure figure = Figure.of(
                                name(),
                                many.getKey() + " VMs: processor time of both agents, an epoch of one VM",
                                many.getValue(),
                                "ms")
                        .against("one VM alone", one);
                report.add(many.getKey() == 16 ? figure.atMost(1.0) : figure);
            }
        } finally {
            for (BenchGuest guest : guests) {
                guest.close();
            }
        }
    }

    /** Milliseconds of processor time of both agents for an epoch of one of so many VMs. */
    private double measured(BenchContext context, BenchReport report, Lab lab, int count) throws Exception {
        lab.awaitEpochs("many-0", context.pick(3, 100));
        long epochsBefore = epochs(lab, count);
        double cpuBefore = cpuSeconds(lab);
        lab.awaitEpochs("many-0", context.pick(count == 1 ? 20 : 8, 400));
        double cpuMs = (cpuSeconds(lab) - cpuBefore) * 1e3 / (epochs(lab, count) - epochsBefore);
        report.add(Figure.of(
                name(),
                count + " VMs: pause p50 of the first, since it is protected",
                lab.primary().protection("many-0").pauseMs().p50(),
                "ms"));
        report.add(Figure.of(
                name(),
                count + " VMs: resident memory of the primary's agent",
                Proc.residentBytes(lab.agentPids().get(0)) / 1e6,
                "MB"));
        return cpuMs;
    }

    private static long epochs(Lab lab, int count) throws Exception {
        long sum = 0;
        for (int i = 0; i < count; i++) {
            sum += lab.primary().protection("many-" + i).ackedEpoch();
        }
        return sum;
    }
}
