package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.Promotion;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NetworkNamespace;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Two agents with their supervisors, and a VM whose only NIC is a tap on a bridge: all of it in a network namespace of its own, that of {@link
 * GuestNetwork}. Single-threaded, but for {@link #enter}.
 */
final class BridgedHosts implements AutoCloseable {
    private static final Duration PROMOTION = Duration.ofSeconds(60);

    private final String namespace = "lockstep-" + ProcessHandle.current().pid();
    private final List<String> inside = List.of("ip", "netns", "exec", namespace);
    private final Path directory;
    private final Workspace workspace;
    private final DemoHost primary;
    private final DemoHost peer;
    private final String vm;
    private boolean passed;

    /** Makes the network and starts the agents. */
    BridgedHosts(Path directory, int epochMs) throws Exception {
        this.directory = directory;
        execute(List.of("ip", "netns", "add", namespace));
        workspace = new Workspace();
        boolean done = false;
        try {
            new GuestNetwork(inside).create();
            primary = new DemoHost(Hosts.PRIMARY, workspace, launcher());
            peer = new DemoHost(Hosts.PEER, workspace, launcher());
            primary.createIdentity();
            peer.createIdentity();
            primary.configure(epochMs, peer, peer.port(), Path.of("/bin/false"));
            peer.configure(epochMs, primary, primary.port(), Path.of("/bin/false"));
            vm = workspace.vmName();
            primary.configureAlso(GuestNetwork.configuration(vm, false));
            peer.configureAlso(GuestNetwork.configuration(vm, true));
            primary.start();
            peer.start();
            done = true;
        } finally {
            if (!done) {
                close();
            }
        }
    }

    DemoHost primary() {
        return primary;
    }

    DemoHost peer() {
        return peer;
    }

    /** The VM's name. */
    String vm() {
        return vm;
    }

    /** Where the VM's files are. */
    Path files() {
        return workspace.directory();
    }

    /** Starts the VM; returns when the agents answer. */
    GuestVm boot(Guest guest, List<String> moreDevices, String options) throws Exception {
        List<String> devices = new ArrayList<>(GuestNetwork.qemuArguments());
        devices.addAll(moreDevices);
        GuestVm started = GuestVm.startWith(inside, guest, vm, "tcg", devices, options, guests(), files());
        primary.awaitAgent();
        peer.awaitAgent();
        return started;
    }

    /** Runs a command in the namespace; what it printed. */
    String run(String command) throws IOException, InterruptedException {
        return execute(inside(command));
    }

    /** The command that runs another in the namespace. */
    List<String> inside(String command) {
        List<String> whole = new ArrayList<>(inside);
        whole.addAll(List.of(command.split(" ", -1)));
        return whole;
    }

    /** Moves the calling thread there; there is no way back. */
    void enter() throws LinuxException {
        NetworkNamespace.enter(Path.of("/run/netns", namespace));
    }

    /** Returns when the VM runs on that host in another process; its pid. */
    static long promoted(String what, DemoHost host, String vm, long formerPid)
            throws DemoFailure, InterruptedException {
        long[] pid = {formerPid};
        Deadline.await(what + ": promotion", PROMOTION, () -> {
            Promotion promotion = host.promotion(vm);
            pid[0] = promotion == null ? formerPid : promotion.pid();
            return pid[0] != formerPid && ProcessHandle.of(pid[0]).isPresent();
        });
        return pid[0];
    }

    /** The logs are of no use any more. */
    void passed() {
        passed = true;
    }

    @Override
    public void close() throws IOException {
        try {
            workspace.killAll();
            workspace.remove(passed);
            execute(List.of("ip", "netns", "del", namespace));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** The product, started in the namespace. */
    private Path launcher() throws Exception {
        Path wrapped = directory.resolve("inside");
        if (!Files.exists(wrapped)) {
            Path project = Installation.in(directory.resolve("product")).project();
            Path launcher = Files.createDirectories(wrapped).resolve("lockstep");
            Files.writeString(
                    launcher,
                    "#!/bin/sh\nexec " + String.join(" ", inside) + " '" + project.resolve("lockstep") + "' \"$@\"\n");
            Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        return wrapped;
    }

    private static Path guests() throws IOException, InterruptedException {
        Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
        return Path.of(execute(List.of(script.toString())).trim());
    }

    private static String execute(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(300, TimeUnit.SECONDS)).as("%s", command).isTrue();
        assertThat(process.exitValue()).as("%s", command).isZero();
        return printed;
    }
}
