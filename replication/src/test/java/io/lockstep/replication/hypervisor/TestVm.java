package io.lockstep.replication.hypervisor;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.awaitility.Awaitility;

/** A real QEMU for a test, in a directory of its own; ended and removed on close. */
public final class TestVm implements AutoCloseable {
    /** Enough for QEMU to start on a loaded machine. */
    private static final long CONNECT_TIMEOUT_NS = 10_000_000_000L;

    private final Path directory;
    private final Process process;
    private final Path qmpSocket;

    private TestVm(Path directory, Process process, Path qmpSocket) {
        this.directory = directory;
        this.process = process;
        this.qmpSocket = qmpSocket;
    }

    /** Starts QEMU without a window, with a QMP socket and these arguments. */
    public static TestVm start(String... arguments) {
        return startAs(List.of(), arguments);
    }

    /** The same under another program, e.g. setpriv with its options. */
    public static TestVm startAs(List<String> prefix, String... arguments) {
        try {
            Path directory = Files.createTempDirectory("lockstep-vm");
            Path socket = directory.resolve("qmp.sock");
            List<String> command = new ArrayList<>(prefix);
            command.addAll(List.of("qemu-system-x86_64", "-display", "none", "-nodefaults"));
            command.addAll(List.of("-qmp", "unix:" + socket + ",server=on,wait=off"));
            Arrays.stream(arguments)
                    .map(a -> a.replace("@DIR@", directory.toString()))
                    .forEach(command::add);
            if (!prefix.isEmpty()) {
                directory.toFile().setWritable(true, false);
                directory.toFile().setExecutable(true, false);
                directory.toFile().setReadable(true, false);
            }
            Process process = new ProcessBuilder(command)
                    .directory(directory.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(directory.resolve("log").toFile())
                    .start();
            TestVm vm = new TestVm(directory, process, socket);
            Awaitility.await("QMP socket: " + command)
                    .atMost(10, TimeUnit.SECONDS)
                    .pollInterval(10, TimeUnit.MILLISECONDS)
                    .until(() -> Files.exists(socket) || vm.failed());
            return vm;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private boolean failed() throws IOException {
        if (!process.isAlive()) {
            throw new IllegalStateException("QEMU ended: " + log());
        }
        return false;
    }

    /** Its output. */
    public String log() throws IOException {
        return Files.readString(directory.resolve("log"));
    }

    /** Its directory, also its working directory. */
    public Path directory() {
        return directory;
    }

    public Path qmpSocket() {
        return qmpSocket;
    }

    public long pid() {
        return process.pid();
    }

    public QmpConnection connect() throws LockstepException {
        return QmpConnection.open(qmpSocket, CONNECT_TIMEOUT_NS);
    }

    public Pidfd pidfd() throws IOException {
        return Pidfd.open(pid());
    }

    /** What the finder makes of it. */
    public QemuProcess found() throws LockstepException {
        return new QemuFinder().findByPid(pid());
    }

    /**
     * SIGKILL, and waits for its end. Not through java.lang.Process: once this JVM has traced its child, its reaper takes the first stop
     * for the end, and ends nothing any more.
     */
    public void kill() {
        try (Pidfd handle = Pidfd.open(pid())) {
            handle.sendSignal(9);
            handle.awaitExit(CONNECT_TIMEOUT_NS);
        } catch (LinuxException e) {
            if (e.errno() != Errno.ESRCH) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @Override
    public void close() {
        kill();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
