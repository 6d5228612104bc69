package io.lockstep.perf.bench;

import io.lockstep.agent.demo.DemoFailure;
import io.lockstep.agent.demo.GuestNetwork;
import io.lockstep.agent.demo.Workspace;
import io.lockstep.agent.view.InitialSync;
import java.io.IOException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** First copies, planned moves and failovers, beside QEMU's own live migration of the same guest over the same loopback. */
final class MoveSection implements Section {
    private static final double MB = 1e6;
    /** A tick each 2 ms: that is how finely a guest's own gap is known. */
    private static final String CHAIN = " pages=5 sweep=8 hz=500";

    private static final String QEMU = "move-qemu";
    private static final String SWITCHOVER = "move-switchover";
    private static final String FAILOVER = "move-failover";

    @Override
    public String name() {
        return "moves";
    }

    @Override
    public String configuration(boolean onPeer) {
        return GuestNetwork.configuration(SWITCHOVER, onPeer) + GuestNetwork.configuration(FAILOVER, onPeer);
    }

    @Override
    public int quickSeconds() {
        return 40;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        if (!context.network()) {
            report.note(name(), "without clients: no network namespace can be made here; run as root");
        }
        int memoryMib = context.pick(256, 1024);
        String chain = "mb=" + memoryMib * 5 / 8 + CHAIN;
        Map<QemuMigration.Way, Double> rates = new EnumMap<>(QemuMigration.Way.class);
        double bestDowntimeMs = Double.MAX_VALUE;
        double bestClientMs = Double.MAX_VALUE;
        for (QemuMigration.Way way : QemuMigration.Way.values()) {
            Workspace workspace = new Workspace();
            try {
                QemuMigration.Result result = QemuMigration.measure(
                        context, spec(context, QEMU, memoryMib, chain), workspace.directory(), way);
                bestClientMs = Math.min(bestClientMs, result.clientGapMs());
                report.add(Figure.of(name(), "QEMU " + way.label() + ": whole time", result.seconds(), "s"));
                report.add(Figure.of(
                        name(),
                        "QEMU " + way.label() + ": longest gap of the client's answers",
                        result.clientGapMs(),
                        "ms"));
                double rate = result.bytesPerSecond() / MB;
                rates.put(way, rate);
                bestDowntimeMs = Math.min(bestDowntimeMs, result.gapMs());
                report.add(Figure.of(name(), "QEMU " + way.label() + ": memory moved", rate, "MB/s"));
                report.add(Figure.of(
                        name(), "QEMU " + way.label() + ": downtime by its own word", result.downtimeMs(), "ms"));
                report.add(Figure.of(
                        name(), "QEMU " + way.label() + ": longest gap of the guest's ticks", result.gapMs(), "ms"));
            } finally {
                workspace.killAll();
                workspace.remove(true);
            }
        }
        lockstep(context, report, memoryMib, chain, rates, bestDowntimeMs, bestClientMs);
        failover(context, report, memoryMib, chain, bestDowntimeMs);
    }

    /** Linux with a server where it can have a network, else the small guest. */
    private static BenchGuest.Spec spec(BenchContext context, String vm, int memoryMib, String chain) {
        BenchGuest.Spec spec = context.network()
                ? BenchGuest.Spec.server(context, vm, memoryMib, chain)
                : BenchGuest.Spec.micro(context, vm, memoryMib, chain);
        return spec.withGaps();
    }

    private void failover(BenchContext context, BenchReport report, int memoryMib, String chain, double downtimeMs)
            throws Exception {
        BenchGuest.Spec spec = spec(context, FAILOVER, memoryMib, chain);
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest = BenchGuest.boot(context, spec, lab.directory())) {
            lab.protectWarm(FAILOVER, context.pick(20, 40));
            lab.awaitStandby(FAILOVER);
            try (LoadClient client = QemuMigration.client(context, spec)) {
                int before = guest.ticks();
                guest.kill();
                lab.awaitPromotion(FAILOVER);
                guest.awaitTicks(100);
                report.add(Figure.of(
                                name(),
                                "unplanned failover: longest gap of the guest's ticks",
                                guest.longestGapMs(before),
                                "ms")
                        .against("QEMU's best planned", downtimeMs));
                addClient(report, "unplanned failover", client, 0);
            }
        } finally {
            lab.endPromoted(FAILOVER);
        }
    }

    private void addClient(BenchReport report, String what, @Nullable LoadClient client, double qemuMs)
            throws IOException, InterruptedException, DemoFailure {
        if (client != null) {
            Figure figure = Figure.of(
                    name(), what + ": longest gap of the client's answers", QemuMigration.longestGapMs(client), "ms");
            report.add(qemuMs > 0 ? figure.against("QEMU's best", qemuMs) : figure);
        }
    }

    private void lockstep(
            BenchContext context,
            BenchReport report,
            int memoryMib,
            String chain,
            Map<QemuMigration.Way, Double> qemu,
            double downtimeMs,
            double clientMs)
            throws Exception {
        BenchGuest.Spec spec = spec(context, SWITCHOVER, memoryMib, chain);
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest = BenchGuest.boot(context, spec, lab.directory())) {
            InitialSync warm = lab.protect(SWITCHOVER).initialSync();
            for (QemuMigration.Way way : List.of(QemuMigration.Way.DEFAULT, QemuMigration.Way.MULTIFD)) {
                Figure copy = Figure.of(name(), "first copy", warm.bytesPerSecond() / MB, "MB/s")
                        .against("QEMU " + way.label(), qemu.getOrDefault(way, 0.0));
                report.add(way == QemuMigration.Way.DEFAULT ? copy.atLeast(2) : copy.atLeast(1.2));
            }
            report.add(Figure.of(name(), "first copy: whole time", warm.ms() / 1000, "s"));
            lab.awaitEpochs(SWITCHOVER, context.pick(20, 100));
            lab.awaitStandby(SWITCHOVER);
            LoadClient client = QemuMigration.client(context, spec);
            int before = guest.ticks();
            lab.primary().switchover(SWITCHOVER);
            guest.awaitTicks(100);
            report.add(Figure.of(
                            name(),
                            "planned switchover: longest gap of the guest's ticks",
                            guest.longestGapMs(before),
                            "ms")
                    .against("QEMU's best", downtimeMs)
                    .atMost(0.25));
            addClient(report, "planned switchover", client, clientMs);
            if (client != null) {
                client.close();
            }
        } finally {
            lab.endPromoted(SWITCHOVER);
        }
    }
}
