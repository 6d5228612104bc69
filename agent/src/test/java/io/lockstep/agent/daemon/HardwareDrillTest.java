package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.Sysfs;
import io.lockstep.telemetry.watch.HardwareWatch;
import io.lockstep.telemetry.watch.HostSources;
import io.lockstep.telemetry.watch.WatchSetup;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HardwareDrillTest {
    private static final String ONE =
            "{\"cpuid\":\"50654\",\"bank\":7,\"status\":\"8800000000000080\",\"misc\":\"8000000000000000\"}\n";
    private static final byte[] TWO = ONE.repeat(2).getBytes(StandardCharsets.UTF_8);

    @TempDir
    Path state;

    private HardwareWatch watch;

    @BeforeEach
    void start() {
        Counters counters = new Counters("");
        EdacSource edac = new EdacSource(new Sysfs(state.resolve("nothing")), counters);
        watch = HardwareWatch.start(new WatchSetup(
                new HostSources(List.of(), List.of(), edac, counters),
                HealthRules.DEFAULT,
                state.resolve("health"),
                Optional::empty,
                (health, before) -> {}));
    }

    @AfterEach
    void close() {
        watch.close();
    }

    @Test
    void shouldSayThatItWasADrillAlsoAfterARestartUntilAllIsCleared() throws Exception {
        HardwareDrill drill = new HardwareDrill(state);
        assertThat(drill.present()).isNull();
        assertThat(drill.run(watch, "two\nlines.jsonl", TWO).events()).isEqualTo(2);
        assertThat(watch.events(0, 10)).allMatch(seen -> seen.event().line().endsWith(", a drill (mce)"));
        HardwareDrill restarted = new HardwareDrill(state);
        assertThat(Objects.requireNonNull(restarted.present()).name()).isEqualTo("two lines.jsonl");
        assertThat(restarted.present().events()).isEqualTo(2);
        assertThat(state.resolve("drill.recording")).doesNotExist();
        assertThat(restarted.clear(true, () -> 3)).isEqualTo(3);
        assertThat(new HardwareDrill(state).present()).isNull();
    }

    @Test
    void shouldChangeNothingWhenTheRecordingHoldsNoEvent() throws Exception {
        HardwareDrill drill = new HardwareDrill(state);
        byte[] prose = "Dear reader,\n".getBytes(StandardCharsets.UTF_8);
        assertThatThrownBy(() -> drill.run(watch, "prose", prose)).hasMessageStartingWith("prose holds no event: ");
        assertThat(drill.present()).isNull();
        assertThat(watch.events(0, 10)).isEmpty();
        drill.run(watch, "two.jsonl", TWO);
        assertThatThrownBy(() -> drill.run(watch, "prose", prose)).hasMessageStartingWith("prose holds no event: ");
        assertThat(Objects.requireNonNull(drill.present()).name()).isEqualTo("two.jsonl");
    }

    /** Events come late in most logs. */
    @Test
    void shouldReadALongRecordingToItsEnd() throws Exception {
        String log = "[    1.000000] usb 1-1: new high-speed USB device\n".repeat(5_000)
                + "[    2.000000] Memory failure: 0x7000: recovery action for dirty LRU page: Recovered\n";
        assertThat(new HardwareDrill(state)
                        .run(watch, "dmesg", log.getBytes(StandardCharsets.UTF_8))
                        .events())
                .isEqualTo(1);
    }

    @Test
    void shouldRatherTellOfADrillTooManyWhenItsNoteIsDamaged() throws Exception {
        Files.writeString(state.resolve("drill"), "?");
        assertThat(Objects.requireNonNull(new HardwareDrill(state).present()).name())
                .isEqualTo("unknown");
    }
}
