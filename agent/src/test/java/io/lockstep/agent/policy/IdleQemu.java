package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.replication.hypervisor.QemuFinder;
import io.lockstep.replication.hypervisor.QemuProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A QEMU with four virtual CPUs that stand still: it has the threads and the memory of a VM, and no guest. */
final class IdleQemu implements AutoCloseable {
    static final int VCPUS = 4;

    final Process process;

    private IdleQemu(Process process) {
        this.process = process;
    }

    static IdleQemu start(Path directory) throws IOException {
        List<String> command = new ArrayList<>(List.of("qemu-system-x86_64", "-name", "idle", "-machine", "q35", "-S"));
        command.addAll(List.of("-accel", "tcg,thread=multi", "-smp", Integer.toString(VCPUS), "-m", "64M"));
        command.addAll(List.of("-nodefaults", "-display", "none"));
        Path qmp = directory.resolve("idle.qmp");
        command.addAll(List.of("-qmp", "unix:" + qmp + ",server=on,wait=off"));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        IdleQemu qemu = new IdleQemu(process);
        await().atMost(Duration.ofSeconds(30))
                .until(() -> !process.isAlive() || qemu.threads().size() > VCPUS);
        assertThat(process.isAlive()).isTrue();
        return qemu;
    }

    QemuProcess found() {
        return new QemuFinder()
                .all().stream()
                        .filter(qemu -> qemu.pid() == process.pid())
                        .findFirst()
                        .orElseThrow();
    }

    List<Integer> threads() {
        try (Stream<Path> tasks = Files.list(Path.of("/proc", Long.toString(process.pid()), "task"))) {
            return tasks.map(task -> Integer.valueOf(task.getFileName().toString()))
                    .toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
        await().atMost(Duration.ofSeconds(30)).until(() -> !process.isAlive());
    }
}
