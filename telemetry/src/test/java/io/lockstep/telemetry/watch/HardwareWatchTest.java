package io.lockstep.telemetry.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthFile;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.Tree;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HardwareWatchTest {
    private static final String MC = "devices/system/edac/mc/mc0/dimm0/";

    /** A source that tells what a test puts into it. */
    private static class Scripted implements EventSource {
        final Queue<HardwareEvent> events = new ConcurrentLinkedQueue<>();

        @Override
        public String name() {
            return "scripted";
        }

        @Override
        public int poll(long wallMs, Consumer<HardwareEvent> sink) {
            int count = 0;
            for (HardwareEvent event = events.poll(); event != null; event = events.poll()) {
                if (event.count() == 666) {
                    throw new IllegalStateException("broken on purpose");
                }
                sink.accept(event);
                count++;
            }
            return count;
        }

        @Override
        public SourceState state() {
            return SourceState.present("scripted", 0);
        }
    }

    @TempDir
    Path directory;

    private final Scripted source = new Scripted();
    private final Queue<ComponentHealth> changes = new ConcurrentLinkedQueue<>();

    private HardwareWatch start() {
        EdacSource edac = new EdacSource(new Tree(directory)
                .file(MC + "dimm_label", "A2")
                .file(MC + "dimm_location", "channel 1 slot 0")
                .file(MC + "size", "32768")
                .file(MC + "dimm_ce_count", "0")
                .sysfs());
        return HardwareWatch.start(
                new HostSources(List.of(source), List.of(edac), edac),
                HealthRules.DEFAULT,
                directory.resolve("health"),
                Optional::empty,
                (health, before) -> changes.add(health));
    }

    @Test
    void shouldTellBothItsRoundsWithTheWaitsThatItMeans() {
        Queue<String> told = new ConcurrentLinkedQueue<>();
        EdacSource edac = new EdacSource(new Tree(directory).sysfs());
        Scripted asked = new Scripted();
        // A round holds what a source takes: begun before it is read, ended after it.
        Scripted waking = new Scripted() {
            @Override
            public int poll(long wallMs, Consumer<HardwareEvent> sink) {
                told.add("wakes reads");
                return super.poll(wallMs, sink);
            }
        };
        try (HardwareWatch watch = HardwareWatch.start(
                new HostSources(List.of(waking), List.of(asked), edac),
                HealthRules.DEFAULT,
                directory.resolve("health"),
                Optional::empty,
                (health, before) -> {},
                (nowNs, untilNs) -> told.add(nowNs == untilNs ? "wakes begins" : "wakes waits"),
                (nowNs, untilNs) -> told.add(nowNs == untilNs ? "asks begins" : "asks waits"))) {
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> told.contains("asks waits") && told.contains("wakes reads"));
            assertThat(watch.state()).isEqualTo(HealthState.HEALTHY);
        }
        assertThat(told.stream().filter(line -> line.startsWith("asks"))).startsWith("asks begins", "asks waits");
        assertThat(told.stream().filter(line -> line.startsWith("wakes")))
                .startsWith("wakes waits", "wakes begins", "wakes reads");
    }

    private static HardwareEvent event(EventKind kind, long count) {
        Component place = Component.Memory.ANYWHERE.at(-1, -1, 1, -1);
        return new HardwareEvent(1, kind, Severity.CORRECTED, place, -1, count, "mce", "trouble", Raw.NONE);
    }

    @Test
    void shouldTellOfAFaultWithItsModuleAndKeepItAcrossARestart() {
        try (HardwareWatch watch = start()) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            source.events.add(event(EventKind.MIRROR_FAILOVER, 1));
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.state() == HealthState.FAILING);
            assertThat(watch.events(0, 10)).singleElement().satisfies(seen -> assertThat(
                            seen.event().line())
                    .isEqualTo("corrected error on DIMM controller 0 channel 1 slot 0 (A2), 32 GiB: trouble (mce)"));
            assertThat(changes).singleElement().satisfies(c -> assertThat(c.state())
                    .isEqualTo(HealthState.FAILING));
            assertThat(watch.sourceStates()).containsOnlyKeys("scripted", "edac");
        }
        try (HardwareWatch watch = start()) {
            assertThat(watch.state()).isEqualTo(HealthState.FAILING);
            assertThat(watch.clear(component -> component.words().contains("A2")))
                    .isEqualTo(1);
        }
        try (HardwareWatch watch = start()) {
            assertThat(watch.state()).isEqualTo(HealthState.HEALTHY);
        }
    }

    @Test
    void shouldHaveKeptWhatCallsForActionWhenItIsKilledTheNextMoment() {
        Path file = directory.resolve("health");
        try (HardwareWatch watch = start()) {
            source.events.add(event(EventKind.POISON, 1));
            await().atMost(Duration.ofSeconds(30)).until(() -> kept(file) == 1);
            source.events.add(event(EventKind.POISON, 1).on(Component.Memory.ANYWHERE.at(-1, -1, 3, -1)));
            await().atMost(Duration.ofSeconds(30)).until(() -> kept(file) == 2);
            assertThat(watch.health()).hasSize(2);
        }
    }

    private static int kept(Path file) throws IOException {
        HealthBook book = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(book, file, System.currentTimeMillis());
        return book.all().size();
    }

    @Test
    void shouldWatchOnWhenOneEventIsNotUnderstood() {
        try (HardwareWatch watch = start()) {
            source.events.add(event(EventKind.MEMORY_ERROR, 666));
            source.events.add(event(EventKind.POISON, 1));
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.state() == HealthState.FAILING);
        }
    }

    @Test
    void shouldRememberTheNewestEventsAndNoMore() {
        EventLog log = new EventLog();
        for (int i = 0; i < EventLog.KEPT_MAX + 5; i++) {
            log.add(event(EventKind.MEMORY_ERROR, 1), false);
        }
        assertThat(log.after(0, 10_000)).hasSize(EventLog.KEPT_MAX);
        assertThat(log.after(0, 10_000).get(0).sequence()).isEqualTo(6);
        assertThat(log.after(EventLog.KEPT_MAX, 3))
                .extracting(SeenEvent::sequence)
                .containsExactly(2003L, 2004L, 2005L);
    }

    @Test
    void shouldStartWithoutHarmOnThisHost() throws Exception {
        Path state = Files.createDirectory(directory.resolve("state"));
        HostSources sources = HostSources.ofThisHost(state, "lockstep-test-watch", false);
        try (HardwareWatch watch = HardwareWatch.start(
                sources, HealthRules.DEFAULT, state.resolve("health"), Optional::empty, (health, before) -> {})) {
            assertThat(watch.sourceStates())
                    .containsOnlyKeys(
                            "trace",
                            "kmsg",
                            "edac",
                            "aer-counters",
                            "poisoned-memory",
                            "pstore",
                            "bonding",
                            "sensors",
                            "ipmi-sel");
        }
        assertThat(state.resolve("health")).exists();
    }
}
