package io.lockstep.perf.bench;

import java.util.ArrayList;
import java.util.List;

/** What many VMs under the same two agents cost. */
final class ManySection implements Section {
    private static final int MANY = 16;
    private static final List<Integer> VMS = List.of(1, 4, MANY);

    private static final String SMALL_CHAIN = "mb=8 pages=20 sweep=0 hz=20";
    private static final int SMALL_MIB = 32;

    /** An epoch of each of 16 VMs takes up to 10 ms of a processor: two cores are to have time for all of them, and for the guests. */
    private static final int MANY_EPOCH_MS = 250;

    /** Without the JIT's compilers, which are busy for minutes after a start. */
    private static double ownSeconds(Lab lab) throws Exception {
        double sum = 0;
        for (long pid : lab.agentPids()) {
            sum += Proc.cpuSeconds(pid) - Proc.compilerSeconds(pid);
        }
        return sum;
    }

    /** Processor time of the agents for each VM's epoch, without their JITs' compilers. */
    private record Together(int count, double cpuMs) {}

    @Override
    public String name() {
        return "many";
    }

    @Override
    public int quickSeconds() {
        return 60;
    }

    /**
     * So many VMs under the same two agents: processor time of the agents for each VM's epoch, and resident memory. The lone VM is measured last, when
     * the others are let go but still run: the agents' code is compiled by then, and the machine as busy.
     */
    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
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
                lab.awaitEpochs("many-0", context.pick(2, 50));
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
            lab.awaitEpochs("many-0", context.pick(2, 50));
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
        lab.awaitEpochs("many-0", context.pick(count == 1 ? 12 : 6, 200));
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
