package io.lockstep.telemetry.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.Sysfs;
import io.lockstep.telemetry.trace.FloodPages;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Ring pages, decoder, merger, module identity, health and event log, all in the threads of the watch. */
@Timeout(300)
class FloodTest {
    private static final int EVENTS = 2_000_000;
    private static final int LOST_EVERY = 20_000;

    @TempDir
    Path directory;

    /** Hands on a minute's storm as pages of the kernel's ring, a few thousand events in a turn. */
    private static final class Storm implements EventSource {
        private final FloodPages pages = new FloodPages(LOST_EVERY);
        private final AtomicInteger handed = new AtomicInteger();
        private volatile boolean open;

        @Override
        public String name() {
            return "trace";
        }

        @Override
        public int poll(Moment now, Consumer<HardwareEvent> sink) {
            int count = 0;
            while (open && handed.get() + count < EVENTS && count < 5000) {
                count += pages.next(now.wallMs(), EVENTS - handed.get() - count, sink);
            }
            handed.addAndGet(count);
            return count;
        }

        @Override
        public SourceState state() {
            return SourceState.present("a storm", handed.get());
        }
    }

    private static long usedBytes() {
        System.gc();
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    @Test
    void shouldCountTwoMillionCorrectedErrorsInLittleMemoryAndMissNoUncorrectedOne() {
        Storm storm = new Storm();
        Counters counters = new Counters("one");
        EdacSource edac = new EdacSource(new Sysfs(directory), counters);
        try (HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                new HostSources(List.of(storm), List.of(edac), edac, counters),
                HealthRules.DEFAULT,
                directory.resolve("health"),
                Optional::empty,
                (health, before) -> {}))) {
            long before = usedBytes();
            storm.open = true;
            await().atMost(Duration.ofSeconds(280)).until(() -> storm.handed.get() >= EVENTS);
            int lost = EVENTS / LOST_EVERY;
            await().atMost(Duration.ofSeconds(30)).until(() -> memory(watch).corrected() == EVENTS - lost);
            ComponentHealth health = memory(watch);
            assertThat(health.uncorrected()).isEqualTo(lost);
            assertThat(health.state()).isEqualTo(HealthState.FAILING);
            assertThat(usedBytes() - before).isLessThan(32L << 20);
            assertThat(watch.events(0, Integer.MAX_VALUE)).hasSize(EventLog.KEPT_MAX);
        }
    }

    private static ComponentHealth memory(HardwareWatch watch) {
        return watch.health().stream()
                .filter(health -> health.component() instanceof Component.Memory)
                .findFirst()
                .orElseGet(() ->
                        new ComponentHealth(Component.Memory.ANYWHERE, HealthState.HEALTHY, 0, 0, 0, 0, List.of(), ""));
    }
}
