package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EdacSource;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.Sysfs;
import io.lockstep.telemetry.watch.HardwareWatch;
import io.lockstep.telemetry.watch.HostSources;
import io.lockstep.telemetry.watch.WatchSetup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * How long it takes from a tracepoint's own time to the typed event in the watch's thread, on this kernel: printed, with the watch's own way of
 * waiting. The tracepoint is the one that an instance's trace_marker raises.
 */
@Tag("kernel")
@Timeout(120)
class TraceDelayTest {
    private static final int EVENTS = 1000;
    private static final int WARM_UP = 200;
    private static final String NAME =
            "lockstep-delay-" + ProcessHandle.current().pid();

    @TempDir
    Path tracefs;

    @TempDir
    Path state;

    @Test
    void shouldTellHowLongAnEventTakes() throws Exception {
        assertThat(new ProcessBuilder("mount", "-t", "tracefs", "nodev", tracefs.toString())
                        .inheritIO()
                        .start()
                        .waitFor())
                .isZero();
        try {
            long[] delaysNs = new long[EVENTS];
            var delays = new LinkedBlockingQueue<Long>();
            Counters counters = new Counters("");
            EventSource source = TraceSource.open(
                    tracefs,
                    NAME,
                    false,
                    state.resolve("trace"),
                    counters,
                    List.of("ftrace/print"),
                    TraceDelayTest::marker,
                    System::nanoTime,
                    delays::add);
            EdacSource edac = new EdacSource(new Sysfs(state.resolve("none")), counters);
            HostSources sources = new HostSources(List.of(source), List.of(), edac, counters);
            Path marker = tracefs.resolve("instances").resolve(NAME).resolve("trace_marker");
            try (HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                    sources, HealthRules.DEFAULT, state.resolve("health"), Optional::empty, (health, before) -> {}))) {
                for (int i = -WARM_UP; i < EVENTS; i++) {
                    Files.writeString(marker, "event " + i, StandardOpenOption.WRITE);
                    Long delay = delays.poll(30, TimeUnit.SECONDS);
                    assertThat(delay).as("event %d", i).isNotNull().isPositive();
                    if (i >= 0) {
                        delaysNs[i] = delay;
                    }
                }
                assertThat(watch.sourceStates().get("trace").lost()).isZero();
            }
            System.out.println("from a tracepoint to its typed event: " + Delays.words(delaysNs));
        } finally {
            Files.deleteIfExists(tracefs.resolve("instances").resolve(NAME));
            new ProcessBuilder("umount", tracefs.toString()).inheritIO().start().waitFor();
        }
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
}
