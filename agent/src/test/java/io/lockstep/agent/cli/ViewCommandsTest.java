package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.VmSummary;
import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

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
    void shouldListThePeersOfTheConfiguration() throws Exception {
        AtomicReference<List<PeerView>> peers = new AtomicReference<>(List.of());
        FakeOperations operations = new FakeOperations() {
            @Override
            public List<PeerView> peers() {
                return peers.get();
            }
        };
        try (ApiServer server = ApiServer.start(operations, List::of, root.resolve("run/lockstep/agent.sock"))) {
            assertThat(lockstep("peers", "--root", root.toString())).isZero();
            assertThat(out).hasToString("no peer is configured: 'lockstep pair' makes one known\n");

            peers.set(List.of(
                    new PeerView("b", "host-b:7500", "sha256:1", true, "healthy"),
                    new PeerView("spare", "[::1]:7501", "sha256:2", false, "unknown")));
            out.reset();
            assertThat(lockstep("peers", "--root", root.toString())).isZero();
            assertThat(out).hasToString("""
                            NAME   ADDRESS      SESSION  HEALTH   FINGERPRINT
                            b      host-b:7500  open     healthy  sha256:1
                            spare  [::1]:7501   none     unknown  sha256:2
                            """);
            out.reset();
            assertThat(lockstep("peers", "--json", "--root", root.toString())).isZero();
            assertThat(JsonTree.parse(out.toString(StandardCharsets.UTF_8))
                            .get("peers")
                            .elements())
                    .extracting(peer -> peer.get("name").text())
                    .containsExactly("b", "spare");
        }
        out.reset();
        assertThat(lockstep("peers", "--root", root.toString())).isEqualTo(ExitCode.AGENT_NOT_RUNNING);
        assertThat(lockstep("peers", "spare", "--root", root.toString())).isEqualTo(ExitCode.USAGE);
    }

    @Test
    void shouldFailWhenTheAgentEndsBeforeItsEvents() throws Exception {
        Path socket = root.resolve("run/lockstep/agent.sock");
        FakeOperations operations = new FakeOperations();
        operations.events.publish(AgentEvent.REPLICA, "db1", "silent", "nothing comes");
        ApiServer server = ApiServer.start(operations, List::of, socket);
        CountDownLatch shown = new CountDownLatch(1);
        OutputStream watched = new FilterOutputStream(out) {
            @Override
            public void flush() {
                if (ViewCommandsTest.this.out.toString(StandardCharsets.UTF_8).endsWith(" nothing comes\n")) {
                    shown.countDown();
                }
            }
        };
        FutureTask<Integer> following = new FutureTask<>(
                () -> Main.run(new String[] {"events", "--follow", "--root", root.toString()}, watched, err));
        new Thread(following, "following").start();
        shown.await();
        server.close();

        assertThat(following.get()).isEqualTo(ExitCode.AGENT_NOT_RUNNING);
        assertThat(out.toString(StandardCharsets.UTF_8)).contains(" replica vm:db1 state:silent nothing comes\n");
        assertThat(err)
                .hasToString(
                        "lockstep events: the agent at " + socket
                                + " has ended. 'lockstep events --after ID', with the last id shown, goes on when it runs again.\n");
    }

    @Test
    void shouldDrawNothingOnceTheTerminalIsRestored() throws Exception {
        ByteArrayOutputStream screen = new ByteArrayOutputStream();
        try (Terminal terminal = TerminalBuilder.builder()
                .system(false)
                .type("xterm")
                .streams(InputStream.nullInputStream(), screen)
                .build()) {
            TopCommand top = new TopCommand();
            top.draw(terminal, new TopScreen());
            assertThat(screen.toString(StandardCharsets.UTF_8)).contains("lockstep top");
            top.restore(terminal, terminal.getAttributes());
            screen.reset();
            top.draw(terminal, new TopScreen());

            assertThat(screen.toString(StandardCharsets.UTF_8)).doesNotContain("lockstep top");
        }
    }

    @Test
    void shouldFailWhenEventsAreRefused() throws Exception {
        try (ApiServer server =
                ApiServer.start(new FakeOperations(), List::of, root.resolve("run/lockstep/agent.sock"))) {
            assertThat(lockstep("events", "--after", "9999999999999999999", "--root", root.toString()))
                    .isEqualTo(ExitCode.USAGE);
            assertThat(lockstep("events", "--after", "-1", "--root", root.toString()))
                    .isEqualTo(ExitCode.USAGE);
            err.reset();
            assertThat(lockstep("events", "--after", "1234567890123456789", "--root", root.toString()))
                    .isEqualTo(ExitCode.USAGE);
            assertThat(err)
                    .hasToString("lockstep events: Last-Event-ID 1234567890123456789 is not a number of at most 18"
                            + " digits.\n");
            assertThat(out.size()).isZero();
        }
    }

    @Test
    void shouldShowControlCharactersOfAVmsNameAndNotObeyThem() throws Exception {
        FakeOperations operations = new FakeOperations() {
            @Override
            public List<VmSummary> vms() {
                return List.of(new VmSummary(
                        4711, "\u001b]0;evil\u0007\nweb1 \u009b2J", null, 1 << 20, "kvm", 1, Role.NONE, "unprotected"));
            }
        };
        try (ApiServer server = ApiServer.start(operations, List::of, root.resolve("run/lockstep/agent.sock"))) {
            assertThat(lockstep("vms", "--root", root.toString())).isZero();
            assertThat(out.toString(StandardCharsets.UTF_8))
                    .hasLineCount(2)
                    .contains("\n\\u001b]0;evil\\u0007\\u000aweb1 \\u009b2J  4711  ");
            operations.events.publish(AgentEvent.PROTECTION, "a\nb", "protected", "line\u001b[2J");
            out.reset();
            assertThat(lockstep("events", "--root", root.toString())).isZero();
            assertThat(out.toString(StandardCharsets.UTF_8)).endsWith(" vm:a\\u000ab state:protected line\\u001b[2J\n");
        }
    }

    @Test
    void shouldRefuseAPortThatThereIsNot() {
        for (String port : List.of("0", "65536", "-1")) {
            err.reset();
            assertThat(lockstep("pair", "--listen", "--port", port, "--root", root.toString()))
                    .isEqualTo(ExitCode.USAGE);
            assertThat(err.toString(StandardCharsets.UTF_8))
                    .startsWith("lockstep pair: --port " + port + " is not in 1..65535");
        }
    }

    /** How a user, or the system, ends top. */
    enum End {
        KEY,
        CONTROL_C,
        SIGTERM
    }

    @ParameterizedTest
    @EnumSource(End.class)
    void shouldShowTopOnATerminalAndRestoreIt(End end) throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "no script(1) here");
        try (ApiServer server =
                ApiServer.start(new FakeOperations(), List::of, root.resolve("run/lockstep/agent.sock"))) {
            Process script = top("xterm");
            Screen screen = new Screen(script);
            screen.readUntil(text -> text.contains("web1") && lastFrame(text).size() == 24);
            assertThat(lastFrame(screen.text())).allMatch(line -> line.length() <= 80);
            ProcessHandle java = script.descendants()
                    .filter(process -> process.info().command().orElse("").endsWith("/java"))
                    .findFirst()
                    .orElseThrow();
            Path terminal = Files.readSymbolicLink(Path.of("/proc/" + java.pid() + "/fd/0"));
            assertThat(new ProcessBuilder("stty", "-F", terminal.toString(), "rows", "10", "cols", "40")
                            .start()
                            .waitFor())
                    .isZero();
            // stty sets one after the other.
            screen.readUntil(text ->
                    lastFrame(text).size() == 10 && lastFrame(text).stream().allMatch(line -> line.length() <= 40));
            switch (end) {
                case KEY -> screen.type('q');
                case CONTROL_C -> screen.type(3);
                case SIGTERM -> java.destroy();
            }
            screen.readUntil(text -> false);
            assertThat(script.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(screen.text())
                    .contains("lockstep top   1 protected here, 1 replicas")
                    .contains("hardware: failing")
                    // The cursor is back, so is the screen of before, and lines are edited again.
                    .containsPattern("\u001b\\[\\?(12;)?25h")
                    .containsPattern("\u001b\\[\\?1049l[^\u001b]*(\u001b\\[23;0;0t)?[^\u001b]*$")
                    .contains(" icanon");
        }
    }

    @Test
    void shouldRefuseTopWhereTheCursorCannotBeMoved() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "no script(1) here");
        try (ApiServer server =
                ApiServer.start(new FakeOperations(), List::of, root.resolve("run/lockstep/agent.sock"))) {
            Process script = top("dumb");
            Screen screen = new Screen(script);
            screen.readUntil(text -> false);
            assertThat(script.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(screen.text())
                    .contains("lockstep top: top needs a terminal whose cursor can be moved: TERM is dumb. `lockstep"
                            + " status --watch` does not.")
                    .doesNotContain("\u001b");
        }
    }

    private Process top(String term) throws Exception {
        Path project = Path.of(System.getProperty("lockstep.project", ".."));
        String java = Path.of(System.getProperty("java.home"), "bin/java").toString();
        String command = "export TERM=" + term + "; stty rows 24 cols 80; " + java + " -cp '"
                + System.getProperty("java.class.path") + "' io.lockstep.agent.cli.Main top --root " + root
                + " ; stty -a | grep -o ' icanon'";
        // The shell outlives the Ctrl-C that its child gets; a job in the background, as this may be, would ignore it
        // as well.
        return new ProcessBuilder(
                        "/usr/bin/env",
                        "--default-signal=INT",
                        "/usr/bin/script",
                        "-qec",
                        "trap : INT; " + command,
                        "/dev/null")
                .directory(project.toFile())
                .redirectErrorStream(true)
                .start();
    }

    /** The lines of the last whole frame: each begins at home and ends by clearing what is below. */
    private static List<String> lastFrame(String text) {
        int to = text.lastIndexOf("\u001b[J");
        int from = to < 0 ? -1 : text.lastIndexOf("\u001b[H", to);
        return from < 0
                ? List.of()
                : Arrays.stream(text.substring(from + 3, to).split("\r\n", -1))
                        .map(line -> line.replaceAll("\r|\u001b\\[[0-9;?]*[A-Za-z]", ""))
                        .toList();
    }

    /** What a terminal would show. */
    private static final class Screen {
        private final Process process;
        private final StringBuilder text = new StringBuilder();
        private final byte[] buffer = new byte[8192];

        Screen(Process process) {
            this.process = process;
        }

        String text() {
            return text.toString();
        }

        void type(int key) throws Exception {
            process.getOutputStream().write(key);
            process.getOutputStream().flush();
        }

        /** Returns at the end, too. */
        void readUntil(Predicate<String> condition) throws Exception {
            long deadlineNs = System.nanoTime() + 40_000_000_000L;
            while (!condition.test(text.toString())) {
                if (process.isAlive() && process.getInputStream().available() == 0) {
                    assertThat(System.nanoTime()).as(text.toString()).isLessThan(deadlineNs);
                    LockSupport.parkNanos(10_000_000);
                    continue;
                }
                int read = process.getInputStream().read(buffer);
                if (read < 0) {
                    return;
                }
                text.append(new String(buffer, 0, read, StandardCharsets.UTF_8));
            }
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
