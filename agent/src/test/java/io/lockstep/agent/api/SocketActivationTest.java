package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.agent.PassedSocket;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A parent that listens for the agent, as systemd does: systemd-socket-activate(1) passes LISTEN_FDS, and starts it at the first connection. */
@Tag("system")
@Timeout(120)
class SocketActivationTest {
    private static final Path ACTIVATE = Path.of("/usr/bin/systemd-socket-activate");

    @TempDir
    Path root;

    @Test
    void shouldServeTheSocketThatItsParentListensAt() throws Exception {
        assumeTrue(Files.isExecutable(ACTIVATE), "no systemd-socket-activate here");
        AgentPaths paths = AgentPaths.under(root);
        Files.createDirectories(paths.run());
        List<String> command = new ArrayList<>(
                List.of(ACTIVATE.toString(), "-l", paths.socket().toString()));
        command.add(Path.of(System.getProperty("java.home"), "bin/java").toString());
        // What the agent's jvm.options open to it is open to this test.
        ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                .filter(argument -> argument.startsWith("--"))
                .forEach(command::add);
        command.addAll(List.of("-Xlog:disable", "-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(AgentProcess.class.getName(), root.toString()));
        Process agent = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(root.resolve("agent.out").toFile())
                .start();
        try {
            await("the socket").atMost(Duration.ofSeconds(30)).until(() -> {
                assertThat(agent.isAlive())
                        .as(Files.readString(root.resolve("agent.out")))
                        .isTrue();
                return Files.exists(paths.socket());
            });
            long listened = (Long) Files.getAttribute(paths.socket(), "unix:ino");
            // It waits in the kernel until the agent, which it starts, has begun to serve.
            Response first = new AgentClient(paths.socket()).get("/v1/agent");
            assertThat(first.ok()).as(first.body()).isTrue();
            assertThat(Files.getAttribute(paths.socket(), "unix:ino")).isEqualTo(listened);
            assertThat(new AgentClient(paths.socket()).get("/v1/vms").ok()).isTrue();
        } finally {
            agent.destroy();
            assertThat(agent.waitFor(30, TimeUnit.SECONDS)).isTrue();
        }
        // It is the parent's, and stays.
        assertThat(paths.socket()).exists();
    }

    @Test
    void shouldTakeNoSocketThatWasPassedToAnotherProcess() {
        String own = Long.toString(ProcessHandle.current().pid());
        assertThat(PassedSocket.isPassed(Map.of("LISTEN_FDS", "1", "LISTEN_PID", own)))
                .isTrue();
        assertThat(PassedSocket.isPassed(Map.of("LISTEN_FDS", "1", "LISTEN_PID", "1")))
                .isFalse();
        assertThat(PassedSocket.isPassed(Map.of("LISTEN_FDS", "0", "LISTEN_PID", own)))
                .isFalse();
        assertThat(PassedSocket.isPassed(Map.of())).isFalse();
    }
}
