package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** A QEMU without a guest but its firmware, as small as it gets. */
final class TestQemu implements AutoCloseable {
    private static final long CONNECT_NS = 10_000_000_000L;

    final Process process;
    final Path qmp;
    final String name;

    private TestQemu(Process process, Path qmp, String name) {
        this.process = process;
        this.qmp = qmp;
        this.name = name;
    }

    /** Starts one with 64 MiB and these further arguments; {@code @DIR@} stands for the directory. */
    static TestQemu start(Path directory, String name, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("qemu-system-x86_64", "-name", name, "-machine", "q35"));
        command.addAll(List.of("-m", "64M", "-nodefaults", "-display", "none"));
        return start(directory, name, command, arguments);
    }

    /** Starts a program that may be none; its QMP socket is added. */
    static TestQemu start(Path directory, String name, List<String> program, String... arguments) throws IOException {
        Path qmp = directory.resolve(name + ".qmp");
        Files.deleteIfExists(qmp);
        List<String> command = new ArrayList<>(program);
        command.addAll(List.of("-qmp", "unix:" + qmp + ",server=on,wait=off"));
        Arrays.stream(arguments)
                .map(argument -> argument.replace("@DIR@", directory.toString()))
                .forEach(command::add);
        Path log = directory.resolve(name + ".log");
        Process process = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        assertThat(TestHost.within(() -> Files.exists(qmp) || !process.isAlive()))
                .isTrue();
        assertThat(process.isAlive()).as(Files.readString(log)).isTrue();
        return new TestQemu(process, qmp, name);
    }

    String pid() {
        return Long.toString(process.pid());
    }

    /** Nothing of a protection is in QEMU, and the VM runs. */
    void assertUntouched() throws Exception {
        assertThat(process.isAlive()).isTrue();
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + pid() + "/fd"))) {
            assertThat(descriptors.map(TestQemu::target).filter(target -> target.contains("userfaultfd")))
                    .isEmpty();
        }
        assertThat(Files.readAllLines(Path.of("/proc/" + pid() + "/status"))).contains("TracerPid:\t0");
        assertThat(Files.readString(Path.of("/proc/" + pid() + "/smaps"))).doesNotContainPattern("VmFlags:.* u[wm]\\b");
        try (QmpConnection connection = QmpConnection.open(qmp, CONNECT_NS)) {
            assertThat(connection.execute("query-fdsets")).isEmpty();
            assertThat(connection.execute("query-status").path("status").asText())
                    .isEqualTo("running");
        }
    }

    private static String target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
        assertThat(TestHost.within(() -> !process.isAlive())).isTrue();
    }
}
