package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.agent.cli.TestHost.Ran;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Agents in processes of their own that cannot start, or have not the right to do what they are asked. */
@Tag("system")
@Timeout(180)
class StartRefusalTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> AS_NOBODY =
            List.of("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");

    @TempDir
    Path directory;

    @Test
    void shouldRefuseToStartWhenTheRootOrThePortIsTaken() throws Exception {
        TestHost first = new TestHost(directory, "taken").configured();
        TestHost same = new TestHost(directory, "same-port").configured();
        Files.writeString(same.paths.configuration(), "[listen]\naddress = \"127.0.0.1\"\nport = " + first.port + "\n");
        Process agent = agent(List.of(), first, directory);
        try {
            awaitService(agent, first);
            assertStartRefused(
                    first,
                    "lockstep agent: another agent holds "
                            + first.paths.run().resolve("agent.lock")
                            + ". Stop it, or give this one a --root of its own.\n");
            assertStartRefused(
                    same,
                    "lockstep agent: cannot listen on 127.0.0.1:" + first.port
                            + ": Address already in use. Choose another address or port in [listen], or end what uses it.\n");
            assertThat(first.run("status").exit()).isEqualTo(ExitCode.OK);
        } finally {
            end(agent);
        }
    }

    @Test
    void shouldRefuseToStartWhenTheConfigurationIsWrong() throws Exception {
        TestHost wrong = new TestHost(directory, "wrong").configured();
        Path file = wrong.paths.configuration();
        Files.writeString(file, "[epoch]\nepochMS = 25\n");
        assertStartRefused(
                wrong, "lockstep agent: " + file + " line 2, column 1: unknown key epochMS; the nearest is epochMs.\n");
        Files.writeString(file, "[peers.b]\naddress = \"b:1\"\nfingerprint = \"sha256:12\"\n");
        assertStartRefused(
                wrong,
                "lockstep agent: " + file + " line 3, column 1: fingerprint \"sha256:12\" is not sha256: and 64"
                        + " lower-case hexadecimal digits.\n");
    }

    @Test
    void shouldNotLetClientsWriteItsLog() throws Exception {
        TestHost host = new TestHost(directory, "logged").configured();
        Process agent = agent(List.of(), host, directory);
        try {
            awaitService(agent, host);
            assertThat(TestHost.within(() -> Files.exists(host.paths.readOnlySocket())))
                    .isTrue();
            for (String headers : List.of("Host: a b", "Host: [", "Host: x\r\nHost: yes-it-was-me", "Cookie: \u0001")) {
                try (SocketChannel client =
                        SocketChannel.open(UnixDomainSocketAddress.of(host.paths.readOnlySocket()))) {
                    String request = "GET /v1/agent HTTP/1.1\r\nConnection: close\r\n" + headers + "\r\n\r\n";
                    client.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.ISO_8859_1)));
                    ByteBuffer answer = ByteBuffer.allocate(1 << 12);
                    assertThat(client.read(answer)).isPositive();
                    assertThat(new String(answer.array(), StandardCharsets.UTF_8))
                            .startsWith("HTTP/1.1 400 ");
                }
            }
            agent.destroy();
            assertThat(agent.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(Files.readAllLines(host.paths.logs().resolve("agent.log")))
                    .isNotEmpty()
                    .allMatch(line -> line.contains(" AgentProcess "));
        } finally {
            end(agent);
        }
    }

    @Test
    void shouldSayHowToStartTheAgentWhenNoneRuns() throws Exception {
        TestHost none = new TestHost(directory, "none").configured();
        String message =
                "no agent answers at " + none.paths.socket() + ". Start it with 'lockstep agent', or name its --root.";
        for (String command : List.of(
                "vms",
                "status",
                "protect web",
                "unprotect web",
                "verify web",
                "switchover web",
                "failover web",
                "discard web",
                "journal web")) {
            String[] arguments = (command + " --json").split(" ");
            Ran ran = none.run(arguments);
            assertThat(ran.exit()).isEqualTo(ExitCode.AGENT_NOT_RUNNING);
            assertThat(ran.err()).isEqualTo("lockstep " + arguments[0] + ": " + message + "\n");
            assertThat(JSON.readTree(ran.out()).path("error").path("code").asText())
                    .isEqualTo("agent-not-running");
        }
    }

    @Test
    void shouldRefuseWhenTheAgentHasNoPrivilegeOverQemu() throws Exception {
        Assumptions.assumeTrue(
                Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0), "only root can be another user");
        Path open = Files.createTempDirectory("lockstep-nobody");
        TestHost peer = new TestHost(open, "peer");
        TestHost unprivileged = new TestHost(open, "nobody").peer("b", peer).configured();
        execute("chown", "-R", "65534:65534", open.toString());
        Process agent = agent(AS_NOBODY, unprivileged, open);
        try (TestQemu vm = TestQemu.start(open, "of-root")) {
            execute("chmod", "666", vm.qmp.toString());
            awaitService(agent, unprivileged);
            Ran ran = unprivileged.run("protect", vm.pid(), "--json");
            JsonNode error = JSON.readTree(ran.out()).path("error");
            assertThat(error.path("code").asText()).as(ran.toString()).isEqualTo("qemu-no-privilege");
            assertThat(error.path("message").asText())
                    .startsWith("Not enough privilege over QEMU (pid " + vm.pid() + "): ")
                    .endsWith(". Run the agent as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.");
            assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
            assertThat(unprivileged.run("doctor").out()).contains("missing  cap-sys-ptrace: this process has no ");
            vm.assertUntouched();
            assertThat(unprivileged.left()).isEmpty();
        } finally {
            end(agent);
            execute("rm", "-rf", open.toString());
        }
    }

    @Test
    void shouldRefuseAnOperatorWhoMayNotUseTheAgentsSocket() throws Exception {
        Assumptions.assumeTrue(
                Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0), "only root can be another user");
        Path open = Files.createTempDirectory("lockstep-socket");
        try (TestHost roots = new TestHost(open, "roots").start()) {
            Process command = java(
                    AS_NOBODY,
                    List.of(
                            Main.class.getName(),
                            "vms",
                            "--root",
                            roots.paths.root().toString()),
                    open);
            assertThat(command.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(output(command))
                    .isEqualTo("lockstep vms: no permission for " + roots.paths.socket()
                            + ". Run as root or as a member of its group.\n");
            assertThat(command.exitValue()).isEqualTo(ExitCode.REFUSED);
        } finally {
            execute("rm", "-rf", open.toString());
        }
    }

    @Test
    void shouldLetQemusUserThroughWhenTheUmaskLetsNobodyIn() throws Exception {
        Assumptions.assumeTrue(
                Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0), "only root can be another user");
        Path open = Files.createTempDirectory("lockstep-umask");
        execute("chmod", "711", open.toString());
        // Nothing of it is there but the configuration; the identity is made by the agent.
        AgentPaths paths = AgentPaths.under(open.resolve("root"));
        execute("mkdir", "-m", "711", paths.root().toString());
        Path configuration = paths.configuration();
        Files.createDirectories(configuration.getParent());
        Files.writeString(configuration, "[listen]\naddress = \"127.0.0.1\"\nport = " + TestHost.freePort() + "\n");
        List<String> command = new ArrayList<>(List.of("sh", "-c", "umask 077 && exec \"$@\"", "sh"));
        command.addAll(command(
                classPath(), List.of(AgentProcess.class.getName(), paths.root().toString())));
        Process agent = new ProcessBuilder(command)
                .directory(open.toFile())
                .redirectErrorStream(true)
                .start();
        try {
            assertThat(TestHost.within(() -> Files.exists(paths.socket()) || !agent.isAlive()))
                    .isTrue();
            assertThat(agent.isAlive()).as("the agent runs").isTrue();
            for (Path entered : List.of(
                    paths.run(), paths.run().resolve("standby"), paths.run().resolve("drill"), paths.state())) {
                List<String> enter = new ArrayList<>(AS_NOBODY);
                enter.addAll(List.of("test", "-d", entered + "/."));
                execute(enter.toArray(String[]::new));
            }
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(paths.identity())))
                    .isEqualTo("rwx------");
        } finally {
            end(agent);
            execute("rm", "-rf", open.toString());
        }
    }

    private void assertStartRefused(TestHost host, String message) throws Exception {
        Process process = agent(List.of(), host, directory);
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(output(process)).endsWith(message);
            assertThat(process.exitValue()).isEqualTo(ExitCode.REFUSED);
        } finally {
            end(process);
        }
    }

    private static void awaitService(Process agent, TestHost host) {
        assertThat(TestHost.within(() -> Files.exists(host.paths.socket()) || !agent.isAlive()))
                .isTrue();
        assertThat(agent.isAlive()).as("the agent runs").isTrue();
    }

    private static String output(Process process) throws IOException {
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    private static Process agent(List<String> prefix, TestHost of, Path open) throws Exception {
        return java(
                prefix, List.of(AgentProcess.class.getName(), of.paths.root().toString()), open);
    }

    /** A JVM without the tests' classes; for another user, whom the build's directories may be closed to, with copies. */
    private static Process java(List<String> prefix, List<String> main, Path open) throws Exception {
        String classPath = classPath();
        if (!prefix.isEmpty()) {
            List<String> copies = new ArrayList<>();
            for (String entry : classPath.split(":", -1)) {
                Path copy = Files.createDirectories(open.resolve("classes")).resolve(copies.size() + ".jar");
                execute("cp", "-rL", entry, copy.toString());
                copies.add(copy.toString());
            }
            execute("chmod", "755", open.toString());
            execute("chmod", "-R", "a+rX", open.resolve("classes").toString());
            classPath = String.join(":", copies);
        }
        List<String> command = new ArrayList<>(prefix);
        command.addAll(command(classPath, main));
        return new ProcessBuilder(command)
                .directory(open.toFile())
                .redirectErrorStream(true)
                .start();
    }

    private static String classPath() {
        return Arrays.stream(System.getProperty("java.class.path").split(":"))
                .filter(entry -> !entry.contains("test-classes"))
                .collect(Collectors.joining(":"));
    }

    private static List<String> command(String classPath, List<String> main) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin/java").toString());
        command.add("-XX:TieredStopAtLevel=1");
        for (String opened :
                List.of("java.lang", "java.lang.reflect", "sun.nio.ch", "jdk.internal.ref", "jdk.internal.misc")) {
            command.addAll(List.of("--add-opens", "java.base/" + opened + "=ALL-UNNAMED"));
        }
        command.addAll(List.of("-cp", classPath));
        command.addAll(main);
        return command;
    }

    private static void end(Process process) throws InterruptedException {
        process.destroyForcibly();
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
    }

    private static void execute(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(String.join(" ", command)).isZero();
    }
}
