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

        String vm() {
            return "slow-" + words();
        }
    }

    @Override
    public String name() {
        return "slowdown";
    }

    @Override
    public String configuration(boolean onPeer) {
        return GuestNetwork.configuration(ADAPTIVE, onPeer);
    }

    @Override
    public int quickSeconds() {
        return 26;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Duration stretch = Duration.ofMillis(context.pick(1_000, 10_000));
        for (Work work : Work.values()) {
            periods(context, report, work, stretch);
        }
        if (context.network()) {
            adaptive(context, report, stretch);
        } else {
            report.note(name(), "without adaptive epochs: no network namespace can be made here; run as root");
        }
    }

    /** Each length of an epoch between two stretches without protection. */
    private void periods(BenchContext context, BenchReport report, Work work, Duration stretch) throws Exception {
        Lab lab = context.agents().warm(context);
        String vm = work.vm();
        try (BenchGuest guest =
                BenchGuest.boot(context, BenchGuest.Spec.micro(context, vm, MIB, work.chain), lab.directory())) {
            double before = guest.ticksPerSecond(stretch);
            for (int epochMs : context.quick() ? List.of(50) : EPOCHS_MS) {
                lab.protect(vm, epochMs);
                double during = protectedTicks(context, lab, guest, stretch);
                double after = guest.ticksPerSecond(stretch);
                Figure figure = figure(work.words() + ", epochs of " + epochMs + " ms", during, before, after);
                report.add(epochMs == 50 && work.leastAt50 > 0 ? figure.atLeast(work.leastAt50) : figure);
                before = after;
            }
        }
    }

    /** A guest with a NIC that sends nothing: its epochs are as long as they may be. */
    private void adaptive(BenchContext context, BenchReport report, Duration stretch) throws Exception {
        Lab lab = context.agents().warm(context);
        BenchGuest.Spec micro = BenchGuest.Spec.micro(context, ADAPTIVE, MIB, Work.COUNTER.chain);
        BenchGuest.Spec spec = micro.with(GuestNetwork.qemuArguments());
        try (BenchGuest guest = BenchGuest.boot(context, spec, lab.directory())) {
            double before = guest.ticksPerSecond(stretch);
            lab.protect(ADAPTIVE);
            double during = protectedTicks(context, lab, guest, stretch);
            report.add(figure("counter, adaptive epochs", during, before, guest.ticksPerSecond(stretch)));
        }
    }

    private static double protectedTicks(BenchContext context, Lab lab, BenchGuest guest, Duration stretch)
            throws Exception {
        // Until the agent knows which pages are written all the time.
        lab.awaitEpochs(guest.name(), context.pick(20, 160));
        double during = guest.ticksPerSecond(stretch);
        lab.primary().unprotect(guest.name());
        return during;
    }

    private Figure figure(String what, double during, double before, double after) {
        return Figure.of(name(), what, during, "steps/s").against("unprotected", (before + after) / 2);
    }
}
