package io.lockstep.perf.bench;

import io.lockstep.agent.view.InitialSync;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** First copies, planned moves and failovers, beside QEMU's own live migration of the same guest over the same loopback. */
final class MoveSection implements Section {
    private static final double MB = 1e6;
    /** A tick each 2 ms: that is how finely a guest's own gap is known. */
    private static final String CHAIN = " pages=5 sweep=8 hz=500";

    @Override
    public String name() {
        return "moves";
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        int memoryMib = context.pick(512, 1024);
        String chain = "mb=" + memoryMib * 3 / 4 + CHAIN;
        Map<QemuMigration.Way, Double> rates = new EnumMap<>(QemuMigration.Way.class);
        double bestDowntimeMs = Double.MAX_VALUE;
        for (QemuMigration.Way way : QemuMigration.Way.values()) {
            try (Lab lab = new Lab(context, 25, "")) {
                QemuMigration.Result result = QemuMigration.measure(
                        context, BenchGuest.Spec.micro(context, "qemu", memoryMib, chain), lab.directory(), way);
                double rate = result.bytesPerSecond() / MB;
                rates.put(way, rate);
                bestDowntimeMs = Math.min(bestDowntimeMs, result.gapMs());
                report.add(Figure.of(name(), "QEMU " + way.label() + ": memory moved", rate, "MB/s"));
                report.add(Figure.of(
                        name(), "QEMU " + way.label() + ": downtime by its own word", result.downtimeMs(), "ms"));
                report.add(Figure.of(
                        name(), "QEMU " + way.label() + ": longest gap of the guest's ticks", result.gapMs(), "ms"));
            }
        }
        lockstep(context, report, memoryMib, chain, rates, bestDowntimeMs);
    }

    private void lockstep(
            BenchContext context,
            BenchReport report,
            int memoryMib,
            String chain,
            Map<QemuMigration.Way, Double> qemu,
            double downtimeMs)
            throws Exception {
        try (Lab lab = new Lab(context, 25, "");
                BenchGuest guest = BenchGuest.boot(
                        context, BenchGuest.Spec.micro(context, "move", memoryMib, chain), lab.directory())) {
            InitialSync first = lab.protect("move").initialSync();
            lab.awaitEpochs("move", 20);
            lab.primary().unprotect("move");
            InitialSync warm = lab.protect("move").initialSync();
            for (QemuMigration.Way way : List.of(QemuMigration.Way.DEFAULT, QemuMigration.Way.MULTIFD)) {
                Figure copy = Figure.of(name(), "first copy, warm agents", warm.bytesPerSecond() / MB, "MB/s")
                        .against("QEMU " + way.label(), qemu.getOrDefault(way, 0.0));
                report.add(way == QemuMigration.Way.DEFAULT ? copy.atLeast(2) : copy.atLeast(1.2));
            }
            report.add(Figure.of(name(), "first copy, agents just started", first.bytesPerSecond() / MB, "MB/s"));
            lab.awaitEpochs("move", context.pick(40, 100));
            lab.awaitStandby("move");
            int before = guest.ticks();
            lab.primary().switchover("move");
            guest.awaitTicks(100);
            report.add(Figure.of(
                            name(),
                            "planned switchover: longest gap of the guest's ticks",
                            guest.longestGapMs(before),
                            "ms")
                    .against("QEMU's best", downtimeMs)
                    .atMost(0.25));
        }
    }
}
