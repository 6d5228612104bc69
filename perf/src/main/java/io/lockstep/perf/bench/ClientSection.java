package io.lockstep.perf.bench;

import io.lockstep.agent.demo.Deadline;
import io.lockstep.agent.demo.GuestNetwork;
import io.lockstep.agent.view.ProtectionStatus;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** How long a client outside waits for answers of a guest whose output waits for the peer. */
final class ClientSection implements Section {
    private static final String VM = "client";
    private static final int MIB = 256;
    private static final double NS_PER_MS = 1e6;
    private static final int BARE_TIMES = 4;

    private record Rate(String label, int perSecond) {}

    private static final List<Rate> RATES = List.of(
            new Rate("idle (10 requests/s)", 10),
            new Rate("1,000 requests/s", 1_000),
            new Rate("10,000 requests/s", 10_000));

    @Override
    public String name() {
        return "client";
    }

    @Override
    public String configuration(boolean onPeer) {
        return GuestNetwork.configuration(VM, onPeer);
    }

    @Override
    public int quickSeconds() {
        return 18;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        if (!context.network()) {
            throw new IllegalStateException("no network namespace can be made here: run as root");
        }
        Duration stretch = Duration.ofMillis(context.pick(1_500, 15_000));
        Lab lab = context.agents().warm(context);
        try (BenchGuest guest = BenchGuest.boot(
                context, BenchGuest.Spec.server(context, VM, MIB, "mb=1 pages=0 sweep=0 every=20"), lab.directory())) {
            List<LoadClient.Result> bare = new ArrayList<>();
            for (Rate rate : RATES) {
                bare.add(measure(rate, stretch));
            }
            lab.protectWarm(VM, context.pick(20, 40));
            for (int i = 0; i < RATES.size(); i++) {
                LoadClient.Result held = measure(RATES.get(i), stretch);
                add(report, RATES.get(i), held, bare.get(i));
                if (i == 0) {
                    bound(report, RATES.get(i), held, bare.get(i), lab.primary().protection(VM));
                }
            }
            guest.awaitTicks(1);
            lab.primary().unprotect(VM);
        }
    }

    private static LoadClient.Result measure(Rate rate, Duration stretch) throws Exception {
        try (LoadClient client = LoadClient.start(rate.perSecond)) {
            long beganNs = System.nanoTime();
            Deadline.await("an answer", Duration.ofSeconds(30), () -> client.answeredSince(beganNs));
            client.take();
            long endNs = System.nanoTime() + stretch.toNanos();
            Deadline.await("the end of a stretch", stretch.plusSeconds(30), () -> System.nanoTime() >= endNs);
            return client.take();
        }
    }

    /** What the contract allows: four times the round trip without protection, one pause, and one acknowledgement. */
    private void bound(
            BenchReport report, Rate rate, LoadClient.Result held, LoadClient.Result bare, ProtectionStatus status) {
        double boundMs = BARE_TIMES * bare.roundTripNs().getValueAtPercentile(50) / NS_PER_MS
                + status.recentPauseMs().p50()
                + status.ackMs().p50();
        report.add(Figure.of(
                        name(),
                        rate.label + ": round trip p50, bounded",
                        held.roundTripNs().getValueAtPercentile(50) / NS_PER_MS,
                        "ms")
                .against("4 × unprotected, pause p50, ack p50", boundMs)
                .atMost(1.0));
    }

    private void add(BenchReport report, Rate rate, LoadClient.Result held, LoadClient.Result bare) {
        for (double percent : new double[] {50, 99}) {
            report.add(Figure.of(
                            name(),
                            rate.label + ": round trip p" + (int) percent,
                            held.roundTripNs().getValueAtPercentile(percent) / NS_PER_MS,
                            "ms")
                    .against("unprotected", bare.roundTripNs().getValueAtPercentile(percent) / NS_PER_MS));
        }
        report.add(Figure.of(name(), rate.label + ": answers", held.perSecond(), "1/s")
                .against("unprotected", bare.perSecond()));
    }
}
