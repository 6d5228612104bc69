package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.source.SourceState.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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

    private KmsgSource open(Path kmsg, String boot) {
        return new KmsgSource(kmsg, boot, directory.resolve("cursor"), () -> SECONDS_UP * 1_000_000_000L);
    }

    private Path record(long sequence, String text) throws IOException {
        return Files.writeString(
                directory.resolve("kmsg"), "2," + sequence + ",190000000,-;" + text + "\n SUBSYSTEM=acpi\n");
    }

    @Test
    void shouldTellARecordOnceEvenWhenTheAgentStartsAgain() throws IOException {
        Path kmsg = record(41, "{1}[Hardware Error]:  Error 0, type: corrected");
        try (KmsgSource source = open(kmsg, "boot-1")) {
            source.poll(NOW, events::add);
        }
        assertThat(events).singleElement().satisfies(e -> {
            assertThat(e.kind()).isEqualTo(EventKind.FIRMWARE);
            assertThat(e.wallMs()).isEqualTo(NOW - 10_000);
        });
        try (KmsgSource source = open(kmsg, "boot-1")) {
            assertThat(source.poll(NOW, events::add)).isZero();
            assertThat(source.state().detail()).isEqualTo("read up to record 41");
        }
        try (KmsgSource source = open(kmsg, "boot-2")) {
            assertThat(source.poll(NOW, events::add)).isEqualTo(1);
        }
        try (KmsgSource source = open(record(42, "{2}[Hardware Error]:  Error 0, type: fatal"), "boot-2")) {
            assertThat(source.poll(NOW, events::add)).isEqualTo(1);
        }
    }

    @Test
    void shouldSayHowMuchMemoryIsMirrored() throws IOException {
        try (KmsgSource source = open(record(7, "efi: Memory: 1024M/2048M mirrored memory"), "b")) {
            source.poll(NOW, events::add);
            assertThat(source.state().detail()).isEqualTo("read up to record 7, 1024M of 2048M of memory is mirrored");
        }
    }

    @Test
    void shouldBeAbsentWithoutHarmWhereThereIsNoLog() {
        try (KmsgSource source = open(directory.resolve("none"), "b")) {
            assertThat(source.poll(NOW, events::add)).isZero();
            assertThat(source.state().status()).isEqualTo(Status.ABSENT);
        }
    }

    @Test
    @Tag("kernel")
    void shouldReadTheRealLogToItsEnd() {
        try (KmsgSource source = open(Path.of("/dev/kmsg"), "b")) {
            source.poll(NOW, events::add);
            assertThat(source.state().status()).isIn(Status.PRESENT, Status.LOSING, Status.NO_PRIVILEGE);
            assertThat(source.state().detail()).matches("read up to record [0-9]+.*|cannot read /dev/kmsg");
        }
    }
}
