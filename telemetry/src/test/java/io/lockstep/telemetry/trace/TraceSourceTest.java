package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.linux.Poll;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Moment;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The real ring of this kernel: what is written to an instance's trace_marker comes back as an event. */
@Tag("kernel")
@Timeout(60)
class TraceSourceTest {
    private static final List<String> MARKER = List.of("ftrace/print", "ras/no_such_event");
    private static final String NAME =
            "lockstep-test-" + ProcessHandle.current().pid();

    @TempDir
    Path tracefs;

    @TempDir
    Path state;

    private final Counters counters = new Counters("this life");

    @BeforeEach
    void mount() throws IOException, InterruptedException {
        run("mount", "-t", "tracefs", "nodev", tracefs.toString());
    }

    @AfterEach
    void unmount() throws IOException, InterruptedException {
        Files.deleteIfExists(tracefs.resolve("instances").resolve(NAME));
        run("umount", tracefs.toString());
    }

    private static void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor())
                .as(String.join(" ", command) + ": " + output)
                .isZero();
    }

    private static HardwareEvent marker(String event, TraceRecord record, long wallMs) {
        return new HardwareEvent(
                wallMs,
                EventKind.UNKNOWN,
                Severity.INFORMATIONAL,
                new Component.Host(""),
                HardwareEvent.NO_ADDRESS,
                1,
                event,
                record.text("buf"),
                Raw.NONE);
    }

    private EventSource open() {
        return open(counters);
    }

    private EventSource open(Counters kept) {
        return TraceSource.open(
                tracefs,
                NAME,
                true,
                state.resolve("trace"),
                kept,
                MARKER,
                TraceSourceTest::marker,
                System::nanoTime,
                ns -> {});
    }

    private void write(String text) throws IOException {
        Files.writeString(
                tracefs.resolve("instances").resolve(NAME).resolve("trace_marker"), text, StandardOpenOption.WRITE);
    }

    private static List<String> poll(EventSource source) {
        List<HardwareEvent> events = new ArrayList<>();
        while (source.poll(Moment.now(), events::add) > 0) {
            // Until the ring is empty.
        }
        events.sort(Comparator.comparingLong(HardwareEvent::wallMs));
        return events.stream().map(HardwareEvent::what).toList();
    }

    @Test
    void shouldSeeABurstWholeAndInOrder() throws IOException {
        try (EventSource source = open()) {
            assertThat(source.state().status()).isEqualTo(Status.PRESENT);
            assertThat(source.state().detail()).endsWith("CPUs, events ftrace/print");
            List<String> written = new ArrayList<>();
            for (int i = 0; i < 500; i++) {
                write("event " + i);
                written.add("event " + i);
            }
            assertThat(poll(source)).containsExactlyInAnyOrderElementsOf(written);
            assertThat(source.state().events()).isEqualTo(500);
            assertThat(source.state().lost()).isZero();
        }
    }

    @Test
    void shouldHandOnInOrderWhateverCpuItHappenedOn() throws Exception {
        Path marker = tracefs.resolve("instances").resolve(NAME).resolve("trace_marker");
        int cpus = Runtime.getRuntime().availableProcessors();
        try (EventSource source = open()) {
            List<String> written = new ArrayList<>();
            for (int i = 0; i < 24; i++) {
                run("taskset", "-c", Integer.toString(i % cpus), "sh", "-c", "printf 'event " + i + "' >" + marker);
                written.add("event " + i);
            }
            List<HardwareEvent> events = new ArrayList<>();
            source.poll(Moment.now(), events::add);
            assertThat(events.stream().map(HardwareEvent::what)).containsExactlyElementsOf(written);
        }
    }

    /** In each turn of a poll, an event comes on a CPU whose ring was read already, and a later one on the CPU that is being read. */
    @Test
    void shouldHandOnInOrderWhatComesWhileItReads() throws Exception {
        assumeTrue(Runtime.getRuntime().availableProcessors() > 1);
        Path marker = tracefs.resolve("instances").resolve(NAME).resolve("trace_marker");
        List<String> written = new ArrayList<>();
        int turns = 8;
        AtomicBoolean begun = new AtomicBoolean();
        IntConsumer happen = cpu -> {
            String event = "event " + written.size();
            written.add(event);
            assertThatCode(() -> run(
                            "taskset", "-c", Integer.toString(cpu), "sh", "-c", "printf '" + event + "' >" + marker))
                    .doesNotThrowAnyException();
        };
        LongSupplier turn = () -> {
            long nowNs = System.nanoTime();
            if (written.size() < 3 * turns && !begun.getAndSet(true)) {
                happen.accept(1);
            }
            return nowNs;
        };
        TraceDecoder decoder = (event, record, wallMs) -> {
            if (begun.getAndSet(false)) {
                happen.accept(0);
                happen.accept(1);
            }
            return marker(event, record, wallMs);
        };
        try (EventSource source = TraceSource.open(
                tracefs, NAME, true, state.resolve("trace"), counters, MARKER, decoder, turn, ns -> {})) {
            List<HardwareEvent> events = new ArrayList<>();
            source.poll(Moment.now(), events::add);
            assertThat(events).hasSizeGreaterThan(3 * 3);
            assertThat(events.stream().map(HardwareEvent::what)).containsExactlyElementsOf(written);
        }
    }

    @Test
    void shouldLoseNothingWhenTheReaderIsAwayForAWhile() throws IOException {
        try (EventSource first = open()) {
            write("one");
            assertThat(poll(first)).containsExactly("one");
        }
        write("two");
        write("three");
        try (EventSource second = open()) {
            assertThat(poll(second)).containsExactly("two", "three");
        }
    }

    /** An agent that read the ring empty, and was killed before it kept what the events did. */
    @Test
    void shouldHandOnAgainWhatAKilledReaderDidNotKeep() throws IOException {
        try (EventSource killed = open()) {
            write("kept");
            assertThat(poll(killed)).containsExactly("kept");
            Map<String, Long> saved = counters.settled();
            write("one");
            assertThat(poll(killed)).containsExactly("one");
            write("two");
            assertThat(poll(killed)).containsExactly("two");
            write("three");
            Counters next = new Counters("this life");
            next.restore(saved);
            try (EventSource second = open(next)) {
                assertThat(poll(second)).containsExactly("one", "two", "three");
                assertThat(poll(second)).isEmpty();
            }
            try (EventSource third = open(next)) {
                assertThat(poll(third)).isEmpty();
            }
            try (EventSource rebooted = open(new Counters("another life"))) {
                assertThat(poll(rebooted)).isEmpty();
            }
        }
    }

    @Test
    void shouldReadEventsAllTheSameWhereThereIsNoPlaceForTheirFile() throws IOException {
        try (EventSource source = TraceSource.open(
                tracefs,
                NAME,
                true,
                state.resolve("no/such/directory/trace"),
                counters,
                MARKER,
                TraceSourceTest::marker,
                System::nanoTime,
                ns -> {})) {
            assertThat(source.state().status()).isEqualTo(Status.PRESENT);
            write("one");
            assertThat(poll(source)).containsExactly("one");
        }
    }

    @Test
    void shouldWakeItsReaderAtOnceAndKnowWhenItHappened() throws IOException {
        try (EventSource source = open()) {
            int[] descriptors = source.descriptors();
            Poll poll = new Poll(descriptors.length);
            for (int i = 0; i < descriptors.length; i++) {
                poll.set(i, descriptors[i], Poll.IN);
            }
            assertThat(poll.await(0)).isZero();
            long before = System.currentTimeMillis();
            write("now");
            assertThat(poll.await(10_000_000_000L)).isPositive();
            List<HardwareEvent> events = new ArrayList<>();
            Moment after = Moment.now();
            source.poll(after, events::add);
            assertThat(events).singleElement().satisfies(e -> assertThat(e.wallMs())
                    .isBetween(before - 2, after.wallMs() + 2));
        }
    }

    @Test
    void shouldSayThatEventsWereLostWhenTheRingOverflowed() throws IOException {
        try (EventSource source = open()) {
            // 512 KiB for each CPU; each of these takes about 1 KiB.
            String large = "x".repeat(1000);
            for (int i = 0; i < 4000; i++) {
                write(large);
            }
            assertThat(poll(source)).isNotEmpty();
            assertThat(source.state().status()).isEqualTo(Status.LOSING);
            assertThat(source.state().lost()).isPositive();
        }
    }

    @Test
    void shouldDoNoHarmWhereThereIsNoTracefs(@TempDir Path empty) {
        EventSource source = TraceSource.open(empty, NAME, true, empty.resolve("trace"), counters);
        assertThat(source.poll(new Moment(0, 0), event -> {})).isZero();
        assertThat(source.state().status()).isEqualTo(Status.ABSENT);
        assertThat(source.state().cure()).isEqualTo("mount -t tracefs nodev " + empty);
    }

    @Test
    void shouldTakeWhatTheKernelHasOfTheRealEvents() {
        try (EventSource source = TraceSource.open(tracefs, NAME, false, state.resolve("trace"), counters)) {
            assertThat(source.state().status()).isIn(Status.PRESENT, Status.DEAF);
            source.poll(Moment.now(), event -> {});
            assertThat(tracefs.resolve("instances").resolve(NAME)).exists();
        }
        assertThat(tracefs.resolve("instances").resolve(NAME)).doesNotExist();
        assertThat(state.resolve("trace")).doesNotExist();
    }
}
