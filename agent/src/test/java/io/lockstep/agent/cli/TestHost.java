package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.Daemon;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.daemon.LockstepDaemonFactory;
import io.lockstep.agent.doctor.HostDoctor;
import io.lockstep.replication.link.Identity;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import picocli.CommandLine;

/** A whole agent under a root of its own, in this process, asked through the command line. */
final class TestHost implements AutoCloseable {
    private static final long WAIT_NS = 30_000_000_000L;
    private static final long POLL_NS = 20_000_000L;

    final AgentPaths paths;
    final int port;
    final String fingerprint;
    final Path memory;
    private final StringBuilder toml = new StringBuilder();
    private boolean sameHost = true;
    private Daemon daemon;
    private ApiServer api;

    /** What a command did. */
    record Ran(int exit, String out, String err) {}

    TestHost(Path directory, String name) throws Exception {
        paths = AgentPaths.under(directory.resolve(name));
        memory = directory.resolve(name + "-memory");
        Files.createDirectories(memory);
        port = freePort();
        fingerprint = Identity.openOrCreate(paths.identity()).fingerprint();
        toml.append("[listen]\naddress = \"127.0.0.1\"\nport = ").append(port).append('\n');
        toml.append("[replica]\ndirectory = \"").append(memory).append("\"\n");
    }

    static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    /** Further lines of the configuration. */
    TestHost with(String lines) {
        toml.append(lines).append('\n');
        return this;
    }

    TestHost peer(String name, int peerPort, String peerFingerprint) {
        return with("[peers." + name + "]\naddress = \"127.0.0.1:" + peerPort + "\"\nfingerprint = \"" + peerFingerprint
                + "\"");
    }

    TestHost peer(String name, TestHost host) {
        return peer(name, host.port, host.fingerprint);
    }

    /** Started without {@code --same-host-for-testing}. */
    TestHost inEarnest() {
        sameHost = false;
        return this;
    }

    /** Writes the configuration without starting anything. */
    TestHost configured() throws IOException {
        Files.createDirectories(Objects.requireNonNull(paths.configuration().getParent()));
        Files.writeString(paths.configuration(), toml);
        Files.createDirectories(paths.run());
        return this;
    }

    TestHost start() throws Exception {
        configured();
        AgentConfig config = AgentConfig.load(paths);
        daemon = new LockstepDaemonFactory().start(paths, config, sameHost);
        api = ApiServer.start(daemon.operations(), new HostDoctor(paths, config, daemon.operations()), paths.socket());
        return this;
    }

    /** Runs a command of the command line against this agent. */
    Ran run(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out, true));
        commandLine.setErr(new PrintWriter(err, true));
        List<String> all = new ArrayList<>(Arrays.asList(arguments));
        all.add(1, "--root");
        all.add(2, paths.root().toString());
        int exit = commandLine.execute(all.toArray(String[]::new));
        return new Ran(exit, out.toString(), err.toString());
    }

    /** What of replicas, ledgers and protections lies in this host's files. */
    List<Path> left() {
        List<Path> found = new ArrayList<>();
        for (Path directory :
                List.of(memory, paths.state().resolve("replicas"), paths.state().resolve("protections"))) {
            if (Files.exists(directory)) {
                try (Stream<Path> files = Files.walk(directory)) {
                    files.filter(Files::isRegularFile).forEach(found::add);
                } catch (IOException | UncheckedIOException e) {
                    found.add(directory); // It changes while it is looked at.
                }
            }
        }
        return found;
    }

    /** Waits for a condition, 30 s at most. */
    static boolean within(BooleanSupplier condition) {
        long deadlineNs = System.nanoTime() + WAIT_NS;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() - deadlineNs > 0) {
                return false;
            }
            LockSupport.parkNanos(POLL_NS);
        }
        return true;
    }

    @Override
    public void close() {
        if (api != null) {
            api.close();
        }
        if (daemon != null) {
            daemon.close();
        }
    }
}
