package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.events.EventLog;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.health.HealthState;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real processes. */
@Timeout(60)
class EventCommandTest {
    private static final Duration LONG = Duration.ofSeconds(30);
    private static final long MINUTE_MS = 60_000;

    @TempDir
    Path directory;

    private final ActionLog log = new ActionLog(new EventLog());
    private @Nullable EventCommand command;

    private EventCommand shell(long timeoutMs, String script) {
        command = new EventCommand(List.of("/bin/sh", "-c", script), timeoutMs, log);
        return command;
    }

    private List<String> texts(int count) {
        await().atMost(LONG).until(() -> log.actions().size() >= count);
        return Parts.texts(log);
    }

    @AfterEach
    void close() {
        if (command != null) {
            command.close();
        }
    }

    @Test
    void shouldGiveTheEventAsJsonOnStandardInputAndNextToNoEnvironment() throws Exception {
        String json = HardwarePolicy.json(
                Parts.event(Parts.A2, Severity.DEFERRED, 0x12345),
                Parts.part(Parts.A2, HealthState.FAILING),
                HealthState.WATCH);
        shell(MINUTE_MS, "cat > " + directory.resolve("in") + "; env > " + directory.resolve("env") + "; echo told")
                .run("DIMM A2", json, "on", "why");
        assertThat(texts(1)).containsExactly("done /bin/sh exited with 0: told; why");
        JsonNode event = new ObjectMapper().readTree(Files.readString(directory.resolve("in")));
        assertThat(event.path("kind").asText()).isEqualTo("memory_error");
        assertThat(event.path("severity").asText()).isEqualTo("deferred");
        assertThat(event.path("address").asText()).isEqualTo("0x12345");
        assertThat(event.path("part").asText()).isEqualTo("DIMM A2");
        assertThat(event.path("state").asText()).isEqualTo("failing");
        assertThat(event.path("before").asText()).isEqualTo("watch");
        assertThat(event.path("drill").asBoolean()).isFalse();
        assertThat(event.path("evidence").get(1).asText()).isEqualTo("mirror failover");
        assertThat(Files.readAllLines(directory.resolve("env")))
                .allMatch(line -> line.matches("(PATH|PWD|SHLVL|_|OLDPWD)=.*"));
    }

    @Test
    void shouldKillWhatTakesTooLongWithAllThatItStarted() throws Exception {
        Path pids = directory.resolve("pids");
        shell(3_000, "sleep 600 & echo $! >> " + pids + "; echo $$ >> " + pids + "; wait")
                .run("A2", "{}", "on", "why");
        assertThat(texts(1)).containsExactly("failed /bin/sh took longer than 3000 ms and was killed; why");
        for (String pid : Files.readAllLines(pids)) {
            await().atMost(LONG)
                    .until(() -> ProcessHandle.of(Long.parseLong(pid)).isEmpty());
        }
    }

    @Test
    void shouldKillWhatWritesTooMuch() {
        shell(MINUTE_MS, "exec cat /dev/zero").run("A2", "{}", "on", "why");
        assertThat(texts(1)).containsExactly("failed /bin/sh wrote more than 1048576 bytes and was killed; why");
    }

    @Test
    void shouldTellAFailureAndAProgramThatIsNotThere() {
        shell(MINUTE_MS, "echo broken >&2; exit 3").run("A2", "{}", "on", "why");
        assertThat(texts(1)).containsExactly("failed /bin/sh exited with 3: broken; why");
        try (EventCommand absent = new EventCommand(List.of("/no/such/program"), 100, log)) {
            absent.run("A2", "{}", "on", "why");
            assertThat(texts(2).get(1))
                    .startsWith("failed /no/such/program cannot run: ")
                    .endsWith("; why");
        }
    }

    /** One runs, as many wait as may, and the others are dropped: no caller ever waits. */
    @Test
    void shouldDropWhatIsTooMuchAndTellHowMuch() throws Exception {
        Path begun = directory.resolve("begun");
        Path go = directory.resolve("go");
        shell(MINUTE_MS, ": > " + begun + "; while ! [ -e " + go + " ]; do sleep 0.02; done")
                .run("A2", "{}", "on", "run 0");
        // What is dropped before the first run begins would be told by it.
        await().atMost(LONG).until(() -> Files.exists(begun));
        for (int i = 1; i < EventCommand.WAITING_MAX + 11; i++) {
            command.run("A2", "{}", "on", "run " + i);
        }
        Files.createFile(go);
        List<String> all = texts(EventCommand.WAITING_MAX + 2);
        assertThat(all).contains("failed 10 runs were dropped: 64 waited already");
        assertThat(all.stream().filter(text -> text.startsWith("done "))).hasSize(EventCommand.WAITING_MAX + 1);
    }

    @Test
    void shouldOnlySayThatItWouldRunInADryRun() {
        shell(MINUTE_MS, "touch " + directory.resolve("ran")).run("A2", "{}", "dry-run", "why");
        command.run("A2", "{}", "off", "why");
        assertThat(texts(1)).containsExactly("dry-run would run /bin/sh: why");
        assertThat(directory.resolve("ran")).doesNotExist();
    }
}
