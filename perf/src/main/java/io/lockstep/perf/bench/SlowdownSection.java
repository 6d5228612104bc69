package io.lockstep.perf.bench;

import io.lockstep.agent.demo.GuestNetwork;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** What a guest that never rests gets done, protected and not. */
final class SlowdownSection implements Section {
    private static final int MIB = 128;
    private static final List<Integer> EPOCHS_MS = List.of(10, 25, 50, 100);
    private static final String ADAPTIVE = "slow-adaptive";

    /** A counter: 20 pages of 32 MiB in each step. Memory: a thousand pages in each. */
    private enum Work {
        COUNTER("mb=32 pages=20 sweep=32 hz=0 every=200", 0.85),
        MEMORY("mb=64 pages=1000 sweep=0 hz=0 every=100", 0);

        private final String chain;
        private final double leastAt50;

        Work(String chain, double leastAt50) {
            this.chain = chain;
            this.leastAt50 = leastAt50;
        }

        String words() {
            return name().toLowerCase(Locale.ROOT);
        }

        String vm(int epochMs) {
            return "slow-" + words() + "-" + epochMs;
        }
    }

    @Override
    public String name() {
        return "slowdown";
    }

    @Override
    public String configuration(boolean onPeer) {
        StringBuilder text = new StringBuilder(GuestNetwork.configuration(ADAPTIVE, onPeer));
        for (Work work : Work.values()) {
            EPOCHS_MS.forEach(epochMs -> text.append(SharedLab.epochs(work.vm(epochMs), epochMs)));
        }
        return text.toString();
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Duration stretch = Duration.ofMillis(context.pick(1_500, 10_000));
        for (Work work : Work.values()) {
            for (int epochMs : context.quick() ? List.of(25, 50) : EPOCHS_MS) {
                measure(context, report, work, epochMs, stretch);
            }
        }
        if (context.network()) {
            adaptive(context, report, stretch);
        }
    }

    /** A guest with a NIC that sends nothing: its epochs are as long as they may be. */
    private void adaptive(BenchContext context, BenchReport report, Duration stretch) throws Exception {
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest = BenchGuest.boot(context, spec(context, ADAPTIVE), lab.directory())) {
            compare(context, report, "counter, adaptive epochs", ADAPTIVE, lab, guest, stretch);
        }
    }

    private static BenchGuest.Spec spec(BenchContext context, String vm) {
        BenchGuest.Spec micro = BenchGuest.Spec.micro(context, vm, MIB, Work.COUNTER.chain);
        return new BenchGuest.Spec(vm, MIB, micro.boot(), GuestNetwork.qemuArguments());
    }

    private void compare(
            BenchContext context,
            BenchReport report,
            String what,
            String vm,
            Lab lab,
            BenchGuest guest,
            Duration stretch)
            throws Exception {
        double before = guest.ticksPerSecond(stretch);
        lab.protectWarm(vm, 100);
        lab.awaitEpochs(vm, context.pick(5, 20));
        double during = guest.ticksPerSecond(stretch);
        lab.primary().unprotect(vm);
        double after = guest.ticksPerSecond(stretch);
        Figure figure = Figure.of(name(), what, during, "steps/s").against("unprotected", (before + after) / 2);
        report.add(what.startsWith("counter, epochs of 50 ms") ? figure.atLeast(Work.COUNTER.leastAt50) : figure);
    }

    private void measure(BenchContext context, BenchReport report, Work work, int epochMs, Duration stretch)
            throws Exception {
        Lab lab = context.agents().warm(context);
        String vm = work.vm(epochMs);
        try (BenchGuest guest =
                BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, MIB, work.chain), lab.directory())) {
            String what = work.words() + ", epochs of " + epochMs + " ms";
            compare(context, report, what, vm, lab, guest, stretch);
        }
    }
}
