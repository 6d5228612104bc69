package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A read of /dev/kmsg gives one record; so does that of a file which holds one. */
class KmsgSourceTest {
    private static final long NOW = 1_700_000_100_000L;
    private static final long SECONDS_UP = 200;

    @TempDir
    Path directory;

    private final List<HardwareEvent> events = new ArrayList<>();

    private static KmsgSource open(Path kmsg, Counters kept) {
        return new KmsgSource(kmsg, kept);
    }

    /** As an agent that is told events, and starts with what the one before kept of the log. */
    private int read(Path kmsg, Counters kept) {
        try (KmsgSource source = open(kmsg, kept)) {
            return source.poll(new Moment(NOW, SECONDS_UP * 1_000_000_000L), event -> {
                events.add(event);
                Raw.Logged logged = (Raw.Logged) event.raw();
                kept.pass(logged.log(), logged.position());
            });
        }
    }

    private static Counters after(Counters before) {
        Counters next = new Counters(before.boot());
        next.restore(before.settled());
        return next;
    }

    private Path record(long sequence, String text) throws IOException {
        return Files.writeString(
                directory.resolve("kmsg"), "2," + sequence + ",190000000,-;" + text + "\n SUBSYSTEM=acpi\n");
    }

    @Test
    void shouldTellARecordOnceEvenWhenTheAgentStartsAgain() throws IOException {
        Path kmsg = record(41, "{1}[Hardware Error]:  Error 0, type: corrected");
        Counters kept = new Counters("boot-1");
        assertThat(read(kmsg, kept)).isEqualTo(1);
        assertThat(events).singleElement().satisfies(e -> {
            assertThat(e.kind()).isEqualTo(EventKind.FIRMWARE);
            assertThat(e.wallMs()).isEqualTo(NOW - 10_000);
        });
        assertThat(kept.settled()).containsExactly(entry("kmsg", 41L));
        Counters next = after(kept);
        assertThat(read(kmsg, next)).isZero();
        assertThat(read(kmsg, new Counters("boot-2"))).isEqualTo(1);
        assertThat(read(record(42, "{2}[Hardware Error]:  Error 0, type: fatal"), after(next)))
                .isEqualTo(1);
        try (KmsgSource source = open(kmsg, next)) {
            source.poll(new Moment(NOW, SECONDS_UP * 1_000_000_000L), events::add);
            assertThat(source.state().detail()).isEqualTo("read up to record 42");
        }
    }

    @Test
    void shouldTakeUpWhereAnAgentEndedThatKeptItsPlaceInAFileOfItsOwn() throws IOException {
        Path cursor = Files.writeString(directory.resolve("cursor"), "boot-1 41\n");
        Path kmsg = record(41, "{1}[Hardware Error]:  Error 0, type: corrected");
        Counters same = new Counters("boot-1");
        KmsgSource.takeUp(cursor, same);
        assertThat(read(kmsg, same)).isZero();
        assertThat(read(record(42, "{2}[Hardware Error]:  Error 0, type: fatal"), same))
                .isEqualTo(1);
        Counters other = new Counters("boot-2");
        KmsgSource.takeUp(cursor, other);
        KmsgSource.takeUp(directory.resolve("none"), other);
        assertThat(other.settled()).isEmpty();
        Counters unknown = new Counters("");
        KmsgSource.takeUp(Files.writeString(cursor, " 41\n"), unknown);
        assertThat(unknown.settled()).isEmpty();
    }

    /** Killed between them, the next agent must read the second record from its beginning, and not the first one. */
    @Test
    void shouldNotPassARecordWhoseLinesAreNotAllThereWhenItHandsOnAnother() {
        List<Long> passed = new ArrayList<>();
        CperLog log = new CperLog();
        Consumer<HardwareEvent> sink = event -> passed.add(log.doneUpTo());
        log.line(41, "{1}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0", NOW, sink);
        log.line(42, "{1}[Hardware Error]:  Error 0, type: corrected", NOW, sink);
        log.line(43, "{2}[Hardware Error]: Hardware error from APEI Generic Hardware Error Source: 0", NOW, sink);
        log.line(44, "{2}[Hardware Error]: event severity: fatal", NOW, sink);
        log.line(45, "{2}[Hardware Error]:  Error 0, type: fatal", NOW + 40, sink);
        log.quiet(NOW + 60, sink);
        log.line(46, "{2}[Hardware Error]:  Error 1, type: fatal", NOW + 70, sink);
        log.quiet(NOW + 200, sink);
        assertThat(passed).containsExactly(43L, 45L, 46L);
    }

    @Test
    void shouldSayHowMuchMemoryIsMirrored() throws IOException {
        try (KmsgSource source = open(record(7, "efi: Memory: 1024M/2048M mirrored memory"), new Counters("b"))) {
            source.poll(new Moment(NOW, SECONDS_UP * 1_000_000_000L), events::add);
            assertThat(source.state().detail()).isEqualTo("read up to record 7, 1024M of 2048M of memory is mirrored");
        }
    }

    @Test
    void shouldBeAbsentWithoutHarmWhereThereIsNoLog() {
        try (KmsgSource source = open(directory.resolve("none"), new Counters("b"))) {
            assertThat(source.poll(new Moment(NOW, SECONDS_UP * 1_000_000_000L), events::add))
                    .isZero();
            assertThat(source.state().status()).isEqualTo(Status.ABSENT);
        }
    }

    @Test
    @Tag("kernel")
    void shouldReadTheRealLogToItsEnd() {
        try (KmsgSource source = open(Path.of("/dev/kmsg"), new Counters("b"))) {
            source.poll(new Moment(NOW, SECONDS_UP * 1_000_000_000L), events::add);
            assertThat(source.state().status()).isIn(Status.PRESENT, Status.LOSING, Status.NO_PRIVILEGE);
            assertThat(source.state().detail()).matches("read up to record [0-9]+.*|cannot read /dev/kmsg");
        }
    }
}
