package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The peer's agent is killed in the middle of a drill: nothing of the drill is left, and the VM is protected as before. */
@Tag("system")
class DrillKillTest {
    private static final String VM = "drill-kill-" + ProcessHandle.current().pid();
    private static final int SIGKILL = 9;
    private static final Duration LONG = Duration.ofSeconds(60);

    @Test
    @Timeout(180)
    void shouldLeaveNothingWhenTheAgentDiesInTheMiddle() throws Exception {
        Workspace workspace = new Workspace();
        boolean passed = false;
        try {
            run(workspace);
            passed = true;
        } finally {
            workspace.killAll();
            workspace.remove(passed);
            if (!passed) {
                System.out.println("logs in " + workspace.directory());
            }
        }
    }

    private static void run(Workspace workspace) throws Exception {
        Path directory = workspace.directory();
        Path project = Installation.in(Files.createDirectory(directory.resolve("product")))
                .project();
        DemoHost primary = new DemoHost(Hosts.PRIMARY, workspace, project);
        DemoHost peer = new DemoHost(Hosts.PEER, workspace, project);
        primary.createIdentity();
        peer.createIdentity();
        primary.configure(25, peer, peer.port(), Path.of("/bin/false"));
        peer.configure(25, primary, primary.port(), Path.of("/bin/false"));
        primary.start();
        peer.start();
        Process vm = boot(directory);
        primary.awaitAgent();
        peer.awaitAgent();
        primary.protect(VM, (phase, done, total) -> {});
        Deadline.await("a standby", LONG, () -> replica(peer).standbyReady());
        AgentPaths paths = AgentPaths.under(directory.resolve(Hosts.PEER));

        new AgentClient(paths.socket()).post("/v1/vms/" + VM + "/drill", "{}");
        Deadline.await("the drill's QEMU", LONG, () -> !drills(paths).isEmpty());
        long agentPid = peer.agent().pid();
        try (Pidfd agent = Pidfd.open(agentPid)) {
            agent.sendSignal(SIGKILL);
            assertThat(agent.awaitExit(LONG.toNanos())).isTrue();
        }
        // The kernel ends QEMU, before and without the agent that comes next.
        Deadline.await("the end of the drill's QEMU", LONG, () -> drills(paths).isEmpty());

        Deadline.await("the next agent", LONG, () -> restarted(peer, agentPid));
        assertThat(files(paths)).isEmpty();
        long acked = primary.protection(VM).ackedEpoch();
        Deadline.await("epochs", LONG, () -> acked(primary) > acked + 5);
        assertThat(primary.protection(VM).fullCopies()).isEqualTo(1);
        Deadline.await("a standby", LONG, () -> replica(peer).standbyReady());
        assertThat(primary.verify(VM).pagesDiffering()).isZero();
        assertThat(vm.isAlive()).isTrue();
    }

    private static ReplicaView replica(DemoHost peer) throws DemoFailure {
        try {
            return peer.replica(VM);
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    private static long acked(DemoHost primary) throws DemoFailure {
        try {
            return primary.protection(VM).ackedEpoch();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    private static boolean restarted(DemoHost peer, long formerPid) {
        try {
            return peer.agent().pid() != formerPid;
        } catch (LockstepException | IOException e) {
            return false; // It is not there yet.
        }
    }

    private static List<Path> drills(AgentPaths paths) throws DemoFailure {
        List<Path> found = new ArrayList<>();
        try (Stream<Path> entries = Files.list(Path.of("/proc"))) {
            entries.filter(process -> isDrill(process, paths)).forEach(found::add);
        } catch (IOException e) {
            throw new DemoFailure("/proc: " + e.getMessage(), e);
        }
        return found;
    }

    private static boolean isDrill(Path process, AgentPaths paths) {
        try {
            String line = new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.UTF_8);
            return line.startsWith("qemu-system") && line.contains(paths.run().resolve("drill") + "/");
        } catch (IOException e) {
            return false; // It is no process, or has ended.
        }
    }

    private static List<Path> files(AgentPaths paths) throws IOException {
        List<Path> found = new ArrayList<>();
        for (Path top : List.of(paths.run().resolve("drill"), paths.replicas(), paths.state())) {
            try (Stream<Path> tree = Files.exists(top) ? Files.walk(top) : Stream.empty()) {
                tree.filter(Files::isRegularFile)
                        .filter(file ->
                                file.startsWith(paths.run()) || file.toString().contains("/.drill/"))
                        .forEach(found::add);
            }
        }
        return found;
    }

    private static Process boot(Path directory) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("qemu-system-x86_64", "-name", VM, "-machine", "q35"));
        command.addAll(List.of("-accel", "tcg", "-m", "64M", "-nodefaults", "-display", "none"));
        command.addAll(List.of("-chardev", "file,id=serial,append=on,path=" + directory.resolve(VM + ".serial")));
        command.addAll(List.of("-serial", "chardev:serial"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(VM + ".qmp") + ",server=on,wait=off"));
        command.addAll(Guest.MICRO.bootArguments(AgentKillsTest.guests()));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(directory.resolve(VM + ".log").toFile())
                .start();
    }
}
