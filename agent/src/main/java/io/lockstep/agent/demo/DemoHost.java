package io.lockstep.agent.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.agent.Progress;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Verification;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** One of the demo's two hosts: an agent under a root of its own, started by its supervisor, and asked over its socket. Single-threaded. */
public final class DemoHost {
    /** A JVM's start on a machine that is busy with another one and a guest. */
    private static final Duration START = Duration.ofSeconds(60);

    private static final Progress NO_PROGRESS = (phase, done, total) -> {};

    private final String name;
    private final Path directory;
    private final Path launcher;
    private final AgentPaths paths;
    private final AgentApi api;
    private final int port;
    private @Nullable Process supervisor;
    private String fingerprint = "";

    /**
     * @throws IOException if there is no free port
     */
    public DemoHost(String name, Workspace workspace, Path project) throws IOException {
        this.name = name;
        directory = workspace.directory();
        launcher = project.resolve("lockstep");
        paths = AgentPaths.under(directory.resolve(name));
        workspace.owns(paths.replicas());
        api = new AgentApi(paths.socket());
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = probe.getLocalPort();
        }
    }

    /** Where its agent listens for primaries, on the loopback address. */
    public int port() {
        return port;
    }

    /** Makes key and certificate, as an operator would. */
    public void createIdentity() throws IOException, InterruptedException, DemoFailure {
        Process identity =
                command("identity", "--json").redirectError(log("identity")).start();
        byte[] printed = identity.getInputStream().readAllBytes();
        if (identity.waitFor() != 0) {
            throw new DemoFailure("lockstep identity for " + name + " exited with " + identity.exitValue());
        }
        JsonNode json = new ObjectMapper().readTree(printed);
        fingerprint = json.path("fingerprint").asText();
    }

    /**
     * Writes the agent's configuration.
     *
     * @param other the other host, which must have its identity
     * @param otherPort port of the way there
     */
    public void configure(int epochMs, DemoHost other, int otherPort, Path fence) throws IOException {
        configure(epochMs, other, otherPort, fence, "");
    }

    /** As {@link #configure(int, DemoHost, int, Path)}, with more lines, the first of which may go on in the table {@code epoch}. */
    public void configure(int epochMs, DemoHost other, int otherPort, Path fence, String more) throws IOException {
        String text = """
                [listen]
                address = "127.0.0.1"
                port = %d

                [fence]
                command = ["%s"]

                # Two agents, QEMU and the demo share one machine, perhaps with a build: short of processor time is not hung.
                [watchdog]
                timeoutMs = 5000

                [peers.%s]
                address = "127.0.0.1:%d"
                fingerprint = "%s"

                [epoch]
                epochMs = %d
                """.formatted(port, fence, other.name, otherPort, other.fingerprint, epochMs) + more;
        Path parent = paths.configuration().getParent();
        if (parent != null) {
            Files.createDirectories(parent);
        }
        Files.writeString(paths.configuration(), text);
    }

    /** Adds tables to what {@link #configure} wrote. */
    void configureAlso(String text) throws IOException {
        Files.writeString(paths.configuration(), text, StandardOpenOption.APPEND);
    }

    /** Starts the agent under its supervisor. */
    public void start() throws IOException {
        supervisor = command("agent", "--supervised", AgentProcess.SAME_HOST)
                .redirectErrorStream(true)
                .redirectOutput(log("agent"))
                .start();
    }

    private ProcessBuilder command(String verb, String... options) {
        List<String> command = new ArrayList<>(
                List.of(launcher.toString(), verb, "--root", paths.root().toString()));
        command.addAll(List.of(options));
        return new ProcessBuilder(command).redirectInput(Path.of("/dev/null").toFile());
    }

    private ProcessBuilder.Redirect log(String what) {
        return ProcessBuilder.Redirect.appendTo(
                directory.resolve(name + "." + what + ".log").toFile());
    }

    /** Returns when the agent answers. */
    public void awaitAgent() throws InterruptedException, DemoFailure {
        Deadline.await("an answer from the agent of " + name, START, () -> {
            if (supervisor != null && !supervisor.isAlive()) {
                throw new DemoFailure("the agent of " + name + " ended with " + supervisor.exitValue());
            }
            return Files.exists(paths.socket()) && answers();
        });
    }

    private boolean answers() {
        try {
            return api.agent().pid() > 0;
        } catch (LockstepException | IOException e) {
            return false; // Not yet: whoever waits for the answer has a bound.
        }
    }

    /** The processes that make up this host's agent, separated by spaces. */
    public String pids() {
        Process process = supervisor;
        return process == null
                ? ""
                : Stream.concat(Stream.of(process.toHandle()), process.descendants())
                        .map(handle -> Long.toString(handle.pid()))
                        .collect(Collectors.joining(" "));
    }

    /** SIGKILL to the supervisor and the agent, the supervisor first, or it would start another. */
    public void kill() {
        Process process = supervisor;
        if (process != null) {
            List<ProcessHandle> children = process.descendants().toList();
            process.destroyForcibly();
            children.forEach(ProcessHandle::destroyForcibly);
        }
    }

    /** What the service manager does when the agent has ended for good. */
    void releaseOutput() throws IOException, InterruptedException, DemoFailure {
        Process release = new ProcessBuilder(
                        launcher.toString(),
                        "release-output",
                        "--root",
                        paths.root().toString())
                .redirectErrorStream(true)
                .redirectOutput(log("release"))
                .start();
        if (release.waitFor() != 0) {
            throw new DemoFailure("lockstep release-output for " + name + " exited with " + release.exitValue());
        }
    }

    /** About the agent itself. */
    public AgentView agent() throws LockstepException, IOException {
        return api.agent();
    }

    /** The agent's metrics, in the text format of Prometheus. */
    public String metrics() throws LockstepException, IOException {
        return api.metrics();
    }

    /** The least pause of the VM, which is not protected yet. */
    public Floor floor(String vm, int samples)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        return api.run(vm, "floor", "{\"samples\":" + samples + "}", NO_PROGRESS, Floor.class);
    }

    /** Protects the VM towards the other host. */
    public ProtectionStatus protect(String vm, Progress progress)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        return api.run(vm, "protect", "{}", progress, ProtectionStatus.class);
    }

    /** The same, with epochs of a length of their own, milliseconds. */
    public ProtectionStatus protect(String vm, int epochMs, Progress progress)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        return api.run(vm, "protect", "{\"epochMs\":" + epochMs + "}", progress, ProtectionStatus.class);
    }

    /** Lets the VM go as it was found. */
    public void unprotect(String vm) throws LockstepException, IOException, InterruptedException, DemoFailure {
        api.run(vm, "unprotect", "{}", NO_PROGRESS, JsonNode.class);
    }

    /** Moves the VM to the other host as planned. */
    public void switchover(String vm) throws LockstepException, IOException, InterruptedException, DemoFailure {
        api.run(vm, "switchover", "{}", NO_PROGRESS, JsonNode.class);
    }

    /** Compares the whole replica with the VM. */
    public Verification verify(String vm) throws LockstepException, IOException, InterruptedException, DemoFailure {
        return api.run(vm, "verify", "{}", NO_PROGRESS, Verification.class);
    }

    /** Holds the VM's output from now on, or lets it pass. */
    void switchProtection(String vm, String mode)
            throws LockstepException, IOException, InterruptedException, DemoFailure {
        api.run(vm, "protection", "{\"protection\":\"" + mode + "\"}", NO_PROGRESS, ProtectionStatus.class);
    }

    /** Whether the VM's output waits for acknowledgements now. */
    boolean holdsOutput(String vm) throws DemoFailure {
        try {
            return protection(vm).output().holding();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("the status of " + name + ": " + e.getMessage(), e);
        }
    }

    /** How the VM that runs here is protected. */
    public ProtectionStatus protection(String vm) throws LockstepException, IOException, DemoFailure {
        return api.status().protections().stream()
                .filter(status -> status.vm().equals(vm))
                .findFirst()
                .orElseThrow(() -> new DemoFailure(name + " does not protect " + vm));
    }

    /** The VM's replica that is held here. */
    public ReplicaView replica(String vm) throws LockstepException, IOException, DemoFailure {
        return api.status().replicas().stream()
                .filter(replica -> replica.vm().equals(vm))
                .findFirst()
                .orElseThrow(() -> new DemoFailure(name + " holds no replica of " + vm));
    }

    /** Where this host keeps its image of the VM's first disk. */
    Path image(String vm) {
        return paths.state().resolve("disks").resolve(vm).resolve("disk-0.raw");
    }

    /** The VM's promotion on this host; null until it was promoted. */
    public @Nullable Promotion promotion(String vm) throws DemoFailure {
        try {
            return replica(vm).promotion();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("the status of " + name + ": " + e.getMessage(), e);
        }
    }

    /** Whether an agent other than that one answers, and protects the VM with an epoch acknowledged. */
    public boolean protectsAgain(String vm, long formerPid) {
        try {
            return api.agent().pid() != formerPid
                    && api.status().protections().stream()
                            .anyMatch(status -> status.vm().equals(vm)
                                    && status.state().name().equals("protected")
                                    && status.ackedEpoch() >= 0);
        } catch (LockstepException | IOException e) {
            return false; // It does not answer yet; the wait has a bound.
        }
    }
}
