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
import io.lockstep.telemetry.health.Pending;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.PoisonedMemorySource;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.source.Sysfs;
import io.lockstep.telemetry.source.Tree;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HardwareWatchTest {
    private static final String MC = "devices/system/edac/mc/mc0/dimm0/";
    private static final String NODE = "devices/system/node/node0/memory_failure/total";
    private static final Component.Memory A2 = Component.Memory.ANYWHERE.labelled("A2");

    /** A source that tells what a test puts into it. */
    private static final int LOGGED = 3000;

    private static class Scripted implements EventSource {
        final Queue<HardwareEvent> events = new ConcurrentLinkedQueue<>();
        volatile Supplier<@Nullable HardwareEvent> flood = () -> null;

        @Override
        public String name() {
            return "scripted";
        }

        @Override
        public int poll(Moment now, Consumer<HardwareEvent> sink) {
            int count = 0;
            HardwareEvent more = flood.get();
            if (more != null) {
                sink.accept(more);
                count++;
            }
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
    private final AtomicBoolean asked = new AtomicBoolean();
    private final Queue<ComponentHealth> changes = new ConcurrentLinkedQueue<>();

    private HardwareWatch start() {
        return start("one", 0, 0);
    }

    /** In a life of the kernel whose counters of the module stand so. */
    private HardwareWatch start(String boot, int corrected, int uncorrected) {
        return start(new Counters(boot), corrected, uncorrected);
    }

    private HardwareWatch start(Counters counters, int corrected, int uncorrected) {
        Tree tree = new Tree(directory)
                .file(MC + "dimm_label", "A2")
                .file(MC + "dimm_location", "channel 1 slot 0")
                .file(MC + "size", "32768")
                .file(MC + "dimm_ce_count", Integer.toString(corrected))
                .file(MC + "dimm_ue_count", Integer.toString(uncorrected));
        EdacSource edac = new EdacSource(tree.sysfs(), counters);
        return start(edac, edac, counters);
    }

    private HardwareWatch start(EventSource polled, EdacSource edac, Counters counters) {
        asked.set(false);
        return HardwareWatch.start(new WatchSetup(
                        new HostSources(List.of(source), List.of(polled), edac, counters),
                        HealthRules.DEFAULT,
                        directory.resolve("health"),
                        Optional::empty,
                        (health, before) -> changes.add(health))
                .told(WatchRounds.IGNORED, (nowNs, untilNs) -> asked.compareAndSet(false, untilNs > nowNs)));
    }

    /** Until the counters were read, and handed on as far as that. */
    private void awaitSettled(Counters counters, Map<String, Long> values) {
        await().atMost(Duration.ofSeconds(30))
                .until(() -> asked.get() && counters.settled().entrySet().containsAll(values.entrySet()));
    }

    @Test
    void shouldTellBothItsRoundsWithTheWaitsThatItMeans() {
        Queue<String> told = new ConcurrentLinkedQueue<>();
        Counters counters = new Counters("");
        EdacSource edac = new EdacSource(new Tree(directory).sysfs(), counters);
        Scripted asked = new Scripted();
        // A round holds what a source takes: begun before it is read, ended after it.
        Scripted waking = new Scripted() {
            @Override
            public int poll(Moment now, Consumer<HardwareEvent> sink) {
                told.add("wakes reads");
                return super.poll(now, sink);
            }
        };
        try (HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                        new HostSources(List.of(waking), List.of(asked), edac, counters),
                        HealthRules.DEFAULT,
                        directory.resolve("health"),
                        Optional::empty,
                        (health, before) -> {})
                .told(
                        (nowNs, untilNs) -> told.add(nowNs == untilNs ? "wakes begins" : "wakes waits"),
                        (nowNs, untilNs) -> told.add(nowNs == untilNs ? "asks begins" : "asks waits")))) {
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> told.contains("asks waits") && Collections.frequency(told, "wakes reads") > 1);
            assertThat(watch.state()).isEqualTo(HealthState.HEALTHY);
        }
        assertThat(told.stream().filter(line -> line.startsWith("asks"))).startsWith("asks begins", "asks waits");
        assertThat(told.stream().filter(line -> line.startsWith("wakes")))
                .startsWith("wakes begins", "wakes reads", "wakes waits", "wakes begins", "wakes reads");
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

    /** One life of an agent, long enough to read the counters; what it told. */
    private List<String> live(String boot, int corrected, int uncorrected) {
        Counters counters = new Counters(boot);
        HardwareWatch watch = start(counters, corrected, uncorrected);
        try (watch) {
            awaitSettled(
                    counters, Map.of(MC + "dimm_ce_count", (long) corrected, MC + "dimm_ue_count", (long) uncorrected));
        }
        return watch.events(0, 10).stream().map(seen -> seen.event().line()).toList();
    }

    private static String corrected(String times, String away) {
        return "corrected error on DIMM controller 0 channel 1 slot 0 (A2), 32 GiB" + times
                + ": memory errors counted by the memory controller" + away + " (edac-counters)";
    }

    @Test
    void shouldTellOnceWhatCountersGrewByWhileNoAgentLooked() {
        assertThat(live("one", 3, 0)).as("what was before the first start").isEmpty();
        assertThat(live("one", 8, 0)).containsExactly(corrected(", 5 times", " while no agent looked"));
        assertThat(live("one", 8, 0)).isEmpty();
        assertThat(live("one", 9, 0)).containsExactly(corrected("", " while no agent looked"));
    }

    /** One life of an agent that reads the kernel's numbers of pages with lost data; what it told. */
    private List<String> livePages(int pages) {
        Counters counters = new Counters("one");
        Tree tree = new Tree(directory)
                .file("meminfo", "HardwareCorrupted: " + 4 * pages + " kB")
                .file(NODE, Integer.toString(pages));
        EdacSource edac = new EdacSource(new Tree(directory.resolve("none")).sysfs(), counters);
        PoisonedMemorySource poisoned = new PoisonedMemorySource(tree.sysfs(), tree.sysfs(), counters);
        HardwareWatch watch = start(poisoned, edac, counters);
        try (watch) {
            awaitSettled(counters, Map.of(NODE, (long) pages));
        }
        return watch.events(0, 10).stream().map(seen -> seen.event().line()).toList();
    }

    @Test
    void shouldTellOnceWhichPagesWereLostWhileNoAgentLooked() {
        String away = ": pages with lost data while no agent looked (poisoned-memory)";
        assertThat(livePages(1)).as("what was before the first start").isEmpty();
        assertThat(livePages(3)).containsExactly("uncorrected error on a DIMM, 2 times" + away);
        assertThat(livePages(3)).isEmpty();
        Component page = new Component.PhysicalAddress(0x7000000, 4096);
        source.events.add(new HardwareEvent(
                1,
                EventKind.PAGE_FAILED,
                Severity.ACTION_OPTIONAL,
                page,
                0x7000000,
                1,
                "memory-failure",
                "trouble",
                Raw.NONE));
        assertThat(livePages(5))
                .as("the kernel kept one, and counted two")
                .containsExactly(
                        "uncorrected error, action optional on memory at physical address 0x7000000 (4096 bytes) at"
                                + " address 0x7000000: trouble (memory-failure)",
                        "uncorrected error on a DIMM" + away);
        assertThat(livePages(5)).isEmpty();
    }

    @Test
    void shouldNameOnePartForAFaultWhoseModuleIsToldLaterAndKeepIt() throws IOException {
        Path file = directory.resolve("health");
        HardwareEvent page = new HardwareEvent(
                1,
                EventKind.PAGE_FAILED,
                Severity.ACTION_OPTIONAL,
                new Component.PhysicalAddress(0x7000000, 4096),
                0x7000000,
                1,
                "memory-failure",
                "trouble",
                Raw.NONE);
        HealthBook kept = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        try (HardwareWatch watch = start()) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            source.events.add(page);
            source.events.add(new HardwareEvent(
                    1, EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, 0x7000000, 1, "ghes", "trouble", Raw.NONE));
            await().atMost(Duration.ofSeconds(30))
                    .until(() -> watch.events(0, 10).size() == 2);
            assertThat(watch.health()).singleElement().satisfies(part -> {
                assertThat(part.component().words()).isEqualTo("DIMM controller 0 channel 1 slot 0 (A2), 32 GiB");
                assertThat(part.uncorrected()).isEqualTo(1);
            });
            assertThat(watch.events(0, 10)).extracting(SeenEvent::refined).containsExactly(false, true);
        }
        HealthFile.load(kept, file);
        assertThat(kept.all()).hasSize(1);
        assertThat(changes)
                .extracting(ComponentHealth::state)
                .containsExactly(HealthState.FAILING, HealthState.FAILING, HealthState.HEALTHY);
    }

    @Test
    void shouldTakeCountersOfAnotherBootAsTheStart() {
        live("one", 3, 0);
        assertThat(live("two", 8, 1)).isEmpty();
        assertThat(live("two", 9, 1)).containsExactly(corrected("", " while no agent looked"));
    }

    @Test
    void shouldTakeUpNothingWhereTheBootIsNotKnown() {
        live("", 3, 0);
        assertThat(live("", 8, 0)).isEmpty();
    }

    @Test
    void shouldCountFromZeroWhenTheDriverWasLoadedAgainWhileNoAgentLooked() {
        live("one", 8, 0);
        assertThat(live("one", 0, 0)).isEmpty();
        live("one", 8, 0);
        assertThat(live("one", 2, 0)).containsExactly(corrected(", 2 times", " while no agent looked"));
    }

    @Test
    void shouldTakeCountersAsTheStartWhenTheFileIsDamaged() throws IOException {
        Path file = directory.resolve("health");
        live("one", 3, 0);
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length / 2] ^= 1;
        Files.write(file, bytes);
        assertThat(live("one", 8, 0)).isEmpty();
        Files.write(file, new byte[0]);
        assertThat(live("one", 9, 0)).isEmpty();
        assertThat(live("one", 10, 0)).containsExactly(corrected("", " while no agent looked"));
    }

    @Test
    void shouldCountOnceWhatTheKernelKeptAndItsCountersCountedWhileNoAgentLooked() {
        live("one", 0, 0);
        source.events.add(event(EventKind.MEMORY_ERROR, 3));
        assertThat(live("one", 5, 0))
                .containsExactly(
                        "corrected error on DIMM controller 0 channel 1 slot 0 (A2), 32 GiB, 3 times: trouble (mce)",
                        corrected(", 2 times", " while no agent looked"));
        source.events.add(event(EventKind.MEMORY_ERROR, 1));
        assertThat(live("one", 5, 0)).as("told before the counter shows it").hasSize(1);
        assertThat(live("one", 6, 0)).isEmpty();
        assertThat(live("one", 7, 0)).hasSize(1);
    }

    @Test
    void shouldCountOnceWhatWasToldBeforeTheAgentWasKilled() throws IOException {
        live("one", 0, 0);
        Path file = directory.resolve("health");
        byte[] killed;
        try (HardwareWatch watch = start("one", 0, 0)) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            source.events.add(lost());
            await().atMost(Duration.ofSeconds(30)).until(() -> kept(file) == 1);
            killed = Files.readAllBytes(file);
        }
        Files.write(file, killed);
        assertThat(live("one", 0, 1)).isEmpty();
        assertThat(live("one", 0, 2)).singleElement().satisfies(line -> assertThat(line)
                .startsWith("uncorrected error on DIMM"));
    }

    @Test
    void shouldCountOnceWhatIsNamedAfterTheAgentWasKilledAndStartedAgain() throws IOException {
        Path file = directory.resolve("health");
        Component page = new Component.PhysicalAddress(0x7000000, 4096);
        HardwareEvent vague = lost().on(page).near(0x7000000);
        byte[] killed;
        try (HardwareWatch watch = start("one", 0, 0)) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            source.events.add(vague);
            await().atMost(Duration.ofSeconds(30)).until(() -> kept(file) == 1);
            killed = Files.readAllBytes(file);
        }
        for (byte[] left : List.of(killed, Files.readAllBytes(file))) {
            Files.write(file, left);
            source.events.add(new HardwareEvent(
                    1, EventKind.MEMORY_ERROR, Severity.RECOVERABLE, A2, 0x7000000, 1, "ghes", "trouble", Raw.NONE));
            try (HardwareWatch watch = start("one", 0, 0)) {
                await().atMost(Duration.ofSeconds(30))
                        .until(() -> !watch.events(0, 10).isEmpty());
                assertThat(watch.events(0, 10)).extracting(SeenEvent::refined).containsExactly(true);
                assertThat(watch.health()).singleElement().satisfies(part -> {
                    assertThat(part.component().words()).isEqualTo("DIMM controller 0 channel 1 slot 0 (A2), 32 GiB");
                    assertThat(part.uncorrected()).isEqualTo(1);
                });
            }
        }
    }

    private static HardwareEvent lost(int channel, long address, Raw raw) {
        return new HardwareEvent(
                1,
                EventKind.MEMORY_ERROR,
                Severity.RECOVERABLE,
                Component.Memory.ANYWHERE.at(-1, -1, channel, -1),
                address << 12,
                1,
                "mce",
                "trouble",
                raw);
    }

    private static long lost(HealthBook book, int channel) {
        return book.all().stream()
                .filter(health -> health.component() instanceof Component.Memory memory && memory.channel() == channel)
                .mapToLong(ComponentHealth::uncorrected)
                .sum();
    }

    /** Whenever a kill comes, what the next agent takes up is all that was read up to there, and no more. */
    @Test
    void shouldKeepWhatWasHandedOnTogetherWithHowFarItsSourceWasRead() throws IOException {
        Counters counters = new Counters("boot");
        AtomicLong read = new AtomicLong();
        // Says at the end of each turn how far it was read.
        EventSource ring = new Scripted() {
            @Override
            public int poll(Moment now, Consumer<HardwareEvent> sink) {
                for (int i = 0; i < 5; i++) {
                    sink.accept(lost(1, read.incrementAndGet(), Raw.NONE));
                }
                counters.pass("ring", read.get());
                return 5;
            }
        };
        // Says so with each event.
        EventSource log = new Scripted() {
            @Override
            public int poll(Moment now, Consumer<HardwareEvent> sink) {
                for (int i = 1; i <= LOGGED; i++) {
                    sink.accept(lost(2, (1L << 40) + i, new Raw.Marked("log", Integer.toString(i), "")));
                }
                return LOGGED;
            }
        };
        EdacSource edac = new EdacSource(new Tree(directory).sysfs(), counters);
        Path file = directory.resolve("health");
        try (HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                new HostSources(List.of(ring), List.of(log), edac, counters),
                HealthRules.DEFAULT,
                file,
                Optional::empty,
                (health, before) -> {}))) {
            long logged = 0;
            for (int kills = 0; kills < 100 || logged < LOGGED; kills++) {
                watch.clear(component -> false);
                HealthBook next = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
                Pending kept = HealthFile.load(next, file);
                logged = Long.parseLong(kept.marks().getOrDefault("log", "0"));
                assertThat(lost(next, 1)).isEqualTo(kept.values().getOrDefault("ring", 0L));
                assertThat(lost(next, 2)).isEqualTo(logged);
            }
        }
        assertThat(read).hasValueGreaterThan(5);
    }

    @Test
    void shouldNotTakeADrillForWhatHappened() {
        Scripted drill = new Scripted();
        HardwareWatch watch = start("one", 0, 0);
        try (watch) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            drill.events.add(event(EventKind.MEMORY_ERROR, 5));
            assertThat(watch.feed(drill)).isEqualTo(1);
            source.events.add(event(EventKind.MEMORY_ERROR, 2));
            await().atMost(Duration.ofSeconds(30)).until(source.events::isEmpty);
        }
        assertThat(watch.events(0, 10)).extracting(seen -> seen.event().count()).containsExactlyInAnyOrder(5L, 2L);
        assertThat(live("one", 5, 0)).containsExactly(corrected(", 3 times", " while no agent looked"));
    }

    private static HardwareEvent lost() {
        Component place = Component.Memory.ANYWHERE.at(-1, -1, 1, -1);
        return new HardwareEvent(
                1, EventKind.MEMORY_ERROR, Severity.RECOVERABLE, place, -1, 1, "mce", "trouble", Raw.NONE);
    }

    private static int kept(Path file) throws IOException {
        HealthBook book = new HealthBook(HealthRules.DEFAULT, (health, before) -> {});
        HealthFile.load(book, file);
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
    void shouldWatchOnWhenTheLayoutOfMemoryIsNotUnderstood() {
        new Tree(directory).file(MC + "dimm_label", "A2");
        Path broken = (Path) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {Path.class}, (proxy, method, arguments) -> {
                    if (arguments[0].toString().endsWith("/size")) {
                        throw new IllegalStateException("broken on purpose");
                    }
                    return directory.resolve(arguments[0].toString());
                });
        Counters counters = new Counters("one");
        EdacSource edac = new EdacSource(new Sysfs(broken), counters);
        try (HardwareWatch watch = start(edac, edac, counters)) {
            source.events.add(event(EventKind.POISON, 1));
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.state() == HealthState.FAILING);
        }
    }

    /** Ten a second, from one source; the module's counter must be seen among them. */
    @Test
    void shouldAskTheSlowSourcesInAFloodOfWhatCallsForAction() throws Exception {
        AtomicBoolean flooding = new AtomicBoolean(true);
        source.flood = () -> flooding.get() ? lost() : null;
        try (HardwareWatch watch = start("one", 3, 0)) {
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.modules().size() == 1);
            Files.writeString(directory.resolve(MC + "dimm_ce_count"), "8\n");
            await().atMost(Duration.ofSeconds(30)).until(() -> watch.events(0, EventLog.KEPT_MAX).stream()
                    .anyMatch(seen -> seen.event().source().equals("edac-counters")));
            flooding.set(false);
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
        HostSources sources = HostSources.ofThisHost(state, state.resolve("trace"), "lockstep-test-watch", false);
        try (HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                sources, HealthRules.DEFAULT, state.resolve("health"), Optional::empty, (health, before) -> {}))) {
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
