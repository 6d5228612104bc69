package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.events.AgentEvent;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
@SuppressWarnings("try") // a server that is there to be asked
class ViewCommandsTest {
    @TempDir
    Path root;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int lockstep(String... arguments) {
        return Main.run(arguments, out, err);
    }

    @Test
    void shouldListEventsALineForEach() throws Exception {
        FakeOperations operations = new FakeOperations();
        operations.events.publish(AgentEvent.PROTECTION, "web1", "protected", "epoch 1 committed");
        operations.events.publish(AgentEvent.REPLICA, "db1", "silent", "nothing comes");
        try (ApiServer server = ApiServer.start(operations, List::of, root.resolve("run/lockstep/agent.sock"))) {
            assertThat(lockstep("events", "--root", root.toString())).isZero();
            List<String> lines = out.toString(StandardCharsets.UTF_8).lines().toList();
            assertThat(lines).hasSize(2);
            assertThat(lines.get(0)).endsWith(" protection vm:web1 state:protected epoch 1 committed");
            out.reset();
            assertThat(lockstep("events", "--json", "--root", root.toString())).isZero();
            assertThat(out.toString(StandardCharsets.UTF_8)).contains("\"kind\":\"replica\",\"subject\":\"db1\"");
        }
    }

    @Test
    void shouldShowTopOnATerminalAndRestoreIt() throws Exception {
        Path project = Path.of(System.getProperty("lockstep.project", ".."));
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "no script(1) here");
        try (ApiServer server =
                ApiServer.start(new FakeOperations(), List::of, root.resolve("run/lockstep/agent.sock"))) {
            String java = Path.of(System.getProperty("java.home"), "bin/java").toString();
            String command = "stty rows 24 cols 80; " + java + " -cp '" + System.getProperty("java.class.path")
                    + "' io.lockstep.agent.cli.Main top --root " + root + " ; stty -a | grep -o ' icanon'";
            Process script = new ProcessBuilder("/usr/bin/script", "-qec", command, "/dev/null")
                    .directory(project.toFile())
                    .redirectErrorStream(true)
                    .start();
            StringBuilder screen = new StringBuilder();
            byte[] buffer = new byte[8192];
            boolean asked = false;
            for (int read = script.getInputStream().read(buffer); read >= 0; ) {
                screen.append(new String(buffer, 0, read, StandardCharsets.UTF_8));
                if (!asked && screen.indexOf("web1") >= 0) {
                    asked = true;
                    script.getOutputStream().write('q');
                    script.getOutputStream().flush();
                }
                read = script.getInputStream().read(buffer);
            }
            assertThat(script.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(screen.toString())
                    .contains("lockstep top   1 protected here, 1 replicas")
                    .contains("hardware: failing")
                    .endsWith(" icanon\r\n");
        }
    }

    @Test
    void shouldCheckAConfiguration() throws Exception {
        Path file = root.resolve("etc/lockstep/agent.toml");
        Files.createDirectories(file.getParent());
        Files.writeString(file, "[epoch]\nepochMs = 25\n");
        assertThat(lockstep("config", "check", "--root", root.toString())).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8)).isEqualTo(file + " is right: peers [], VMs [].\n");

        Files.writeString(file, "[epoch]\n  epochSeconds = 25\n");
        assertThat(lockstep("config", "check", "--root", root.toString())).isEqualTo(ExitCode.REFUSED);
        assertThat(err.toString(StandardCharsets.UTF_8))
                .isEqualTo("lockstep config check: " + file
                        + " line 2, column 3: unknown key epochSeconds; the nearest is epochMs.\n");
    }

    @Test
    void shouldPrintADefaultConfigurationThatIsRight() throws Exception {
        assertThat(lockstep("config", "default")).isZero();
        Path file = root.resolve("etc/lockstep/agent.toml");
        Files.createDirectories(file.getParent());
        Files.write(file, out.toByteArray());
        assertThat(lockstep("config", "check", "--root", root.toString())).isZero();
    }
}
