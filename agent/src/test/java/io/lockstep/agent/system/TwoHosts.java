package io.lockstep.agent.system;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.DaemonFactory;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.daemon.LockstepDaemonFactory;
import io.lockstep.replication.link.Identity;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Two real agents in this JVM, each with a root and an identity of its own, and the guests that a test boots.
 *
 * <p>Invariant: once closed, no QEMU runs that had this fixture's directory, which no other has, in its command line.
 */
final class TwoHosts implements AutoCloseable {
    private static final String CONFIGURATION = """
            [listen]
            address = "127.0.0.1"
            port = %d
            [journal]
            bytesMax = 134217728
            segmentBytes = 16777216
            [peers.other]
            address = "127.0.0.1:%d"
            fingerprint = "%s"
            %s
            """;

    private static final String PIPELINE = "[pipeline]\npageCacheBytes = 16777216\n";

    private final Path directory;
    private final Host a;
    private final String configurationB;
    private Host b;
    private final List<SystemVm> guests = new ArrayList<>();

    TwoHosts() throws Exception {
        this("");
    }

    /** @param more lines of both configurations; {@code DIR} in them stands for the fixture's directory */
    TwoHosts(String more) throws Exception {
        directory = Files.createTempDirectory("ls");
        // Guests also run as another user.
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
        AgentPaths pathsA = AgentPaths.under(Files.createDirectories(directory.resolve("a")));
        AgentPaths pathsB = AgentPaths.under(Files.createDirectories(directory.resolve("b")));
        int portA = freePort();
        int portB = freePort();
        String fingerprintA = Identity.openOrCreate(pathsA.identity()).fingerprint();
        String fingerprintB = Identity.openOrCreate(pathsB.identity()).fingerprint();
        String lines = (more.contains("[pipeline]") ? "" : PIPELINE) + more.replace("DIR", directory.toString());
        a = start("a", pathsA, CONFIGURATION.formatted(portA, portB, fingerprintB, lines));
        configurationB = CONFIGURATION.formatted(portB, portA, fingerprintA, lines);
        b = start("b", pathsB, configurationB);
    }

    private static Host start(String name, AgentPaths paths, String configuration) throws Exception {
        DaemonFactory factory = new LockstepDaemonFactory();
        return new Host(
                name, paths, factory.start(paths, AgentConfig.parse(name + ".toml", configuration, paths), true));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    Host a() {
        return a;
    }

    Host b() {
        return b;
    }

    /** The second host's agent again, after it was closed; {@link #b()} is this one from now on. */
    Host startAgainB() throws Exception {
        b = start("b", b.paths(), configurationB);
        return b;
    }

    Path directory() {
        return directory;
    }

    /** Boots a guest, and returns when its chain runs. */
    SystemVm boot(SystemVm.Boot boot) throws Exception {
        SystemVm vm = SystemVm.start(boot, directory);
        guests.add(vm);
        Waits.until("the first ticks of " + boot.name(), 90, () -> vm.chain().last() >= 3);
        return vm;
    }

    /** Starts a VM that runs no chain of ours. */
    SystemVm start(SystemVm.Boot boot) throws Exception {
        SystemVm vm = SystemVm.start(boot, directory);
        guests.add(vm);
        Waits.until("the monitors of " + boot.name(), 20, () -> Files.exists(vm.testQmp()));
        return vm;
    }

    @Override
    public void close() throws IOException {
        a.daemon().close();
        b.daemon().close();
        ourQemus().forEach(ProcessHandle::destroyForcibly);
        // One that has ended has no command line, but counts as alive until it is reaped, which may take its new parent
        // a second.
        Waits.until("the end of every QEMU", 10, () -> ourQemus().isEmpty());
        removeTree(a.paths().replicas());
        removeTree(b.paths().replicas());
        removeTree(directory);
    }

    private List<ProcessHandle> ourQemus() throws IOException {
        try (Stream<Path> entries = Files.list(Path.of("/proc"))) {
            return entries.filter(e -> e.getFileName().toString().matches("\\d+") && isOurs(e))
                    .flatMap(
                            e -> ProcessHandle.of(Long.parseLong(e.getFileName().toString())).stream())
                    .toList();
        }
    }

    private boolean isOurs(Path process) {
        try {
            String commandLine =
                    new String(Files.readAllBytes(process.resolve("cmdline")), StandardCharsets.ISO_8859_1);
            return commandLine.startsWith("qemu-system") && commandLine.contains(directory + "/");
        } catch (IOException e) {
            return false; // It has ended.
        }
    }

    private static void removeTree(Path top) throws IOException {
        if (!Files.exists(top)) {
            return;
        }
        try (Stream<Path> tree = Files.walk(top)) {
            tree.sorted(Comparator.reverseOrder()).forEach(path -> {
                try {
                    Files.deleteIfExists(path);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        }
    }
}
