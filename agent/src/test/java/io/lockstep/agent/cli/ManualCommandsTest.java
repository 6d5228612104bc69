package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.manual.Manual;
import io.lockstep.agent.manual.Manual.Command;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Runs what the manual tells its readers to run. Commands of {@code lockstep} and {@code curl} run here, against an agent whose VMs are made up;
 * those that do not end, or need a system of their own, are run by the file that is named; the rest is marked in the manual.
 */
@Timeout(120)
class ManualCommandsTest {
    /** What a command begins with, the file that runs it, and how it stands there. */
    private static final Map<String, List<String>> RUN_ELSEWHERE = Map.ofEntries(
            Map.entry("lockstep demo", List.of(".ci/run", "./lockstep demo --guest")),
            Map.entry("lockstep test", List.of(".ci/run", "./lockstep test")),
            Map.entry("lockstep bench", List.of(".ci/run", "./lockstep bench")),
            Map.entry(
                    "lockstep agent",
                    List.of("agent/dist/deb/test-installed", "lockstep agent --same-host-for-testing")),
            Map.entry(
                    "lockstep agent --supervised",
                    List.of("agent/src/main/java/io/lockstep/agent/demo/DemoHost.java", "\"--supervised\"")),
            Map.entry("lockstep pair --listen", List.of("agent/dist/deb/test-installed", "lockstep pair --listen")),
            Map.entry("lockstep pair HOST", List.of("agent/dist/deb/test-installed", "lockstep pair localhost")),
            Map.entry(
                    "lockstep top",
                    List.of("agent/src/test/java/io/lockstep/agent/cli/ViewCommandsTest.java", "Main top")),
            Map.entry(
                    "lockstep status --watch",
                    List.of("agent/src/test/java/io/lockstep/agent/cli/MainTest.java", "\"--watch\"")),
            Map.entry(
                    "lockstep hardware decode",
                    List.of(
                            "agent/src/test/java/io/lockstep/agent/cli/HardwareCommandTest.java",
                            "\"hardware\", \"decode\", failover")),
            Map.entry("mvn package", List.of("lockstep", "-DskipTests -f \"$project/pom.xml\" package")),
            Map.entry(
                    "apt-get install ./lockstep",
                    List.of(
                            "agent/dist/deb/test-installed",
                            "apt-get install -q -y --no-install-recommends ./new.deb")),
            Map.entry(
                    "apt-get remove lockstep",
                    List.of("agent/dist/deb/test-installed", "apt-get remove -q -y lockstep")),
            Map.entry(
                    "apt-get purge lockstep", List.of("agent/dist/deb/test-installed", "apt-get purge -q -y lockstep")),
            Map.entry(
                    "systemctl restart lockstep-agent",
                    List.of("agent/dist/deb/test-installed", "systemctl restart lockstep-agent")),
            Map.entry(
                    "systemctl start lockstep-agent",
                    List.of("agent/dist/deb/test-installed", "systemctl start lockstep-agent")),
            Map.entry(
                    "systemctl start lockstep-agent.socket",
                    List.of("agent/dist/deb/test-installed", "systemctl start lockstep-agent.socket")));

    @TempDir
    Path root;

    @Test
    @SuppressWarnings("try") // a server that is there to be asked
    void shouldRunEveryCommandOfTheManual() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        List<Command> commands = Manual.commands();
        List<String> wrong = new ArrayList<>();
        try (ApiServer server = ApiServer.start(new FakeOperations(), List::of, paths.socket())) {
            for (Command command : commands) {
                String text = command.text().startsWith("./") ? command.text().substring(2) : command.text();
                // The bench is a program of its own, behind the same launcher.
                boolean ours = text.startsWith("lockstep ") && !text.startsWith("lockstep bench");
                String fault = ours ? faultOfUse(text) : "";
                if (fault.isEmpty() && !command.marked()) {
                    fault = faultOfRun(text);
                }
                if (!fault.isEmpty()) {
                    wrong.add(command + ": " + fault);
                }
            }
        }

        assertThat(wrong).isEmpty();
        assertThat(commands).hasSizeGreaterThan(30);
    }

    /** Where the parser does not take it, no reader gets anywhere with it. */
    private static String faultOfUse(String text) {
        try {
            Main.commandLine().parseArgs(arguments(text).toArray(String[]::new));
            return "";
        } catch (picocli.CommandLine.ParameterException e) {
            return e.getMessage();
        }
    }

    private String faultOfRun(String text) throws IOException, InterruptedException {
        List<String> elsewhere = null;
        int longest = 0;
        for (Map.Entry<String, List<String>> entry : RUN_ELSEWHERE.entrySet()) {
            if ((text + " ").startsWith(entry.getKey()) && entry.getKey().length() > longest) {
                longest = entry.getKey().length();
                elsewhere = entry.getValue();
            }
        }
        if (elsewhere != null) {
            Path file = Manual.project().resolve(elsewhere.get(0));
            return Files.readString(file).contains(elsewhere.get(1)) ? "" : file + " does not run it";
        }
        if (text.startsWith("curl ")) {
            return faultOfShell(
                    text.replace("/run/lockstep", root.resolve("run/lockstep").toString()));
        }
        if (!text.startsWith("lockstep ")) {
            return "no test runs it, and it is not marked";
        }
        List<String> arguments = arguments(text);
        // Without it, the same command ends.
        arguments.remove("--follow");
        if (arguments.stream().noneMatch(argument -> argument.equals("--help"))) {
            arguments.addAll(List.of("--root", root.toString()));
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int exit = Main.run(arguments.toArray(String[]::new), out, out);
        return exit == ExitCode.OK || exit == ExitCode.REFUSED
                ? ""
                : "exit status " + exit + ": " + out.toString(StandardCharsets.UTF_8);
    }

    private static String faultOfShell(String text) throws IOException, InterruptedException {
        // 28: a stream of events does not end by itself.
        Process shell = new ProcessBuilder("/bin/bash", "-c", text.replace("curl ", "curl -sS --fail --max-time 3 "))
                .redirectErrorStream(true)
                .start();
        String said = new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        shell.waitFor(20, TimeUnit.SECONDS);
        return shell.exitValue() == 0 || shell.exitValue() == 28
                ? ""
                : "exit status " + shell.exitValue() + ": " + said;
    }

    private static List<String> arguments(String text) {
        List<String> arguments = new ArrayList<>();
        for (String argument : text.split(" ", -1)) {
            // Of the made-up VMs, the one that runs.
            arguments.add(argument.equals("VM") ? "web1" : argument);
        }
        arguments.remove(0);
        return arguments;
    }
}
