package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.events.EventLog;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.fault.MemoryIdentity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthBook;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.health.HealthState;
import io.lockstep.telemetry.replay.Replay;
import io.lockstep.telemetry.replay.ReplayResult;
import io.lockstep.telemetry.replay.ReplaySource;
import io.lockstep.telemetry.source.Moment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** From the event to its actions: a real health book tells the policy, which acts on files and processes. */
@Timeout(60)
class HardwarePolicyTest {
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final String ALL_ON = "offlinePages = \"on\"\nofflineCpus = \"on\"\nrunCommand = \"on\"\n";

    @TempDir
    Path sysfs;

    private final ActionLog log = new ActionLog(new EventLog());
    private final HostHealth health = new HostHealth();
    private volatile @Nullable HealthBook book;
    private @Nullable HardwarePolicy policy;
    private Path soft;

    @BeforeEach
    void tree() throws Exception {
        Path memory = Files.createDirectories(sysfs.resolve("devices/system/memory"));
        soft = Files.createFile(memory.resolve("soft_offline_page"));
        Files.createFile(memory.resolve("hard_offline_page"));
        Path cpus = Files.createDirectories(sysfs.resolve("devices/system/cpu/cpu3"));
        Files.writeString(cpus.resolve("online"), "1");
        Files.writeString(sysfs.resolve("devices/system/cpu/online"), "0-3\n");
        Files.writeString(sysfs.resolve("devices/system/cpu/present"), "0-3\n");
    }

    private void start(String configuration) throws LockstepException {
        policy = new HardwarePolicy(Parts.config(configuration), sysfs, health, log, this::parts, List::of, List::of);
        book = new HealthBook(HealthRules.DEFAULT, policy);
    }

    private List<ComponentHealth> parts() {
        HealthBook present = book;
        return present == null ? List.of() : present.all();
    }

    @AfterEach
    void close() {
        policy.close();
    }

    private List<String> texts(int count) {
        await().atMost(LONG).until(() -> log.actions().size() >= count);
        return Parts.texts(log);
    }

    private void happens(HardwareEvent event) {
        book.record(event, false, null, System.currentTimeMillis());
    }

    @Test
    void shouldTakeAPageOutOfUseWhenItHadTwoErrorsAndRunTheCommandOnceForTheDimm() throws Exception {
        Path in = sysfs.resolve("in");
        start(ALL_ON + "command = [\"/bin/sh\", \"-c\", \"cat >> " + in + "\"]\n");
        happens(Parts.event(Parts.A2, Severity.CORRECTED, 0x7000));
        happens(Parts.event(Parts.A2, Severity.CORRECTED, 0x7008));
        assertThat(texts(2)).anyMatch(text -> text.startsWith("done took page 0x7000 out of use (soft_offline_page)"));
        assertThat(Files.readString(soft)).isEqualTo("0x7000");
        await().atMost(LONG)
                .until(() -> Files.exists(in) && !Files.readString(in).isEmpty());
        assertThat(Files.readAllLines(in)).hasSize(1);
        await().atMost(LONG).until(() -> health.state() == HealthState.WATCH);
    }

    /** The kernel would only say that the page is gone already. */
    @Test
    void shouldNotTakeOutOfUseWhatTheKernelHasTaken() throws Exception {
        start(ALL_ON.replace("runCommand = \"on\"\n", ""));
        String line = "Memory failure: 0x%s: recovery action for dirty LRU page: %s\n";
        Path recording = sysfs.resolve("dmesg");
        Files.writeString(recording, line.formatted("7", "Recovered") + line.formatted("8", "Failed"));
        for (ReplayResult.Step step : Replay.run(recording, HealthRules.DEFAULT, MemoryIdentity.NONE, s -> {})
                .steps()) {
            if (step instanceof ReplayResult.Seen seen) {
                happens(seen.event());
            }
        }
        assertThat(texts(1))
                .containsExactly(
                        "done took page 0x8000 out of use (hard_offline_page): uncorrected error on memory at physical address"
                                + " 0x8000 (4096 bytes) at address 0x8000: page with lost data stays in use (memory-failure)");
    }

    @Test
    void shouldTakeADegradingCpuOffLine() throws Exception {
        start(ALL_ON.replace("runCommand = \"on\"\n", ""));
        Component cpu = new Component.Cpu(0, 1, 3);
        HardwareEvent error = Parts.event(cpu, Severity.CORRECTED, HardwareEvent.NO_ADDRESS);
        for (int i = 0; i < HealthRules.DEFAULT.cpuErrorsMax(); i++) {
            happens(error);
        }
        assertThat(texts(1).get(0)).startsWith("done took CPU 3 off line. ");
        assertThat(Files.readString(sysfs.resolve("devices/system/cpu/cpu3/online")))
                .isEqualTo("0");
    }

    /** What a drill says of itself is what this policy looks for. */
    @Test
    void shouldTakeNothingOutOfUseForADrill() throws Exception {
        start(ALL_ON.replace("runCommand = \"on\"\n", ""));
        Path recording = sysfs.resolve("drill.jsonl");
        String error =
                "{\"status\":\"0x9c00000000000090\",\"addr\":\"0x7000\",\"misc\":\"0x8c\",\"bank\":7,\"cpuid\":\"0x50654\"}\n";
        Files.writeString(recording, error + error);
        List<HardwareEvent> events = new ArrayList<>();
        try (ReplaySource source = new ReplaySource(recording, 0)) {
            source.poll(Moment.now(), events::add);
            assertThat(events).as(source.state().detail()).hasSize(2);
        }
        assertThat(events).allMatch(event -> event.what().endsWith(HardwarePolicy.DRILL));
        events.forEach(this::happens);
        assertThat(texts(1).get(0)).startsWith("dry-run would take page 0x7000 out of use");
        assertThat(Files.readString(soft)).isEmpty();
        // The drill has ended: the same page wears out for good.
        book.clear(
                part -> true, Parts.event(Parts.A2, Severity.CORRECTED, 0x7000).wallMs());
        policy.cleared();
        happens(Parts.event(Parts.A2, Severity.CORRECTED, 0x7000));
        happens(Parts.event(Parts.A2, Severity.CORRECTED, 0x7000));
        assertThat(texts(2)).anyMatch(text -> text.startsWith("done took page 0x7000 out of use"));
    }

    /** What a reader tells is queued; whatever the actions do, it is told in no time. */
    @Test
    void shouldNeverKeepAReaderWaiting() throws Exception {
        start(ALL_ON + "command = [\"/bin/sleep\", \"600\"]\n");
        int storm = 100_000;
        for (int i = 0; i < storm; i++) {
            happens(Parts.event(Parts.A2, Severity.DEFERRED, i * 4096L));
        }
        assertThat(book.all().get(0).uncorrected()).isEqualTo(storm);
        await().atMost(LONG).until(() -> health.state() == HealthState.FAILING);
    }
}
