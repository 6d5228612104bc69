package io.lockstep.perf.bench;

import java.time.Duration;
import java.util.List;

/** What a guest that never rests gets done, protected and not. */
final class SlowdownSection implements Section {
    private static final int MIB = 128;
    private static final List<Integer> EPOCHS_MS = List.of(10, 25, 50, 100);

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
    }

    @Override
    public String name() {
        return "slowdown";
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        Duration stretch = Duration.ofSeconds(context.pick(2, 10));
        for (Work work : Work.values()) {
            for (int epochMs : context.quick() ? List.of(25, 50) : EPOCHS_MS) {
                measure(context, report, work, epochMs, stretch);
            }
        }
    }

    private void measure(BenchContext context, BenchReport report, Work work, int epochMs, Duration stretch)
            throws Exception {
        String vm = "slow-" + epochMs;
        try (Lab lab = new Lab(context, epochMs, "");
                BenchGuest guest = BenchGuest.boot(
                        context, BenchGuest.Spec.micro(context, vm, MIB, work.chain), lab.directory())) {
            double before = guest.ticksPerSecond(stretch);
            lab.protectWarm(vm, context.pick(40, 100));
            double during = guest.ticksPerSecond(stretch);
            lab.primary().unprotect(vm);
            double after = guest.ticksPerSecond(stretch);
            Figure figure = Figure.of(
                            name(),
                            work.name().toLowerCase(java.util.Locale.ROOT) + ", epochs of " + epochMs + " ms",
                            during,
                            "steps/s")
                    .against("unprotected", (before + after) / 2);
            report.add(epochMs == 50 && work.leastAt50 > 0 ? figure.atLeast(work.leastAt50) : figure);
        }
    }
}
