package io.lockstep.replication.hypervisor;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A virtual machine with the distribution's kernel, in which a class of the tests runs as it would on this host, with QEMU and all else that this
 * host has installed: for what this host's own kernel lacks.
 */
public final class HostGuest {
    private HostGuest() {}

    /**
     * What came of it.
     *
     * @param lines that the class printed, or its JVM; the last is "exit" and the status
     * @param everything what the guest's kernel and its QEMU said besides
     */
    public record Said(List<String> lines, String everything) {
        /** The lines that begin so, and the last. */
        public List<String> starting(String prefix) {
            return lines.stream()
                    .filter(line -> line.startsWith(prefix) || line.startsWith("exit "))
                    .toList();
        }
    }

    /**
     * Runs a class's {@code main} with the directory as its argument, and returns when the guest has powered off. It finds the directory as it was,
     * and what it writes, there and elsewhere, stays in the guest.
     *
     * @param heapMib of its JVM
     * @param memoryMib of the guest: three quarters are room for files
     */
    public static Said run(Path directory, Class<?> program, int heapMib, int memoryMib, int seconds)
            throws IOException, InterruptedException {
        Path console = directory.resolve("console");
        Path said = directory.resolve("said");
        Path log = directory.resolve("qemu.log");
        Path script = script(directory, program, heapMib);
        Process machine = new ProcessBuilder(command(script, memoryMib, console, said))
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        boolean ended;
        try {
            ended = machine.waitFor(seconds, TimeUnit.SECONDS);
        } finally {
            machine.destroyForcibly();
        }
        String everything = Files.readString(console, UTF_8) + Files.readString(log) + Files.readString(said);
        assertThat(ended).as(everything).isTrue();
        return new Said(Files.readString(said).lines().map(String::strip).toList(), everything);
    }

    private static Path guests() throws IOException, InterruptedException {
        Process build = new ProcessBuilder(
                        Path.of(System.getProperty("lockstep.project"), "agent/guests/build.sh")
                                .toString(),
                        "--host")
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String printed = new String(build.getInputStream().readAllBytes(), UTF_8);
        assertThat(build.waitFor()).isZero();
        return Path.of(printed.strip());
    }

    private static List<String> command(Path script, int memoryMib, Path console, Path said)
            throws IOException, InterruptedException {
        Path guests = guests();
        return List.of(
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-machine",
                "q35",
                "-m",
                Integer.toString(memoryMib),
                // One: where a JVM's compiler writes code that another processor is about to run, emulated ones have
                // run something else.
                "-smp",
                "1",
                // Libraries want instructions that the default processor lacks.
                "-cpu",
                "max",
                "-nodefaults",
                "-no-reboot",
                "-display",
                "none",
                "-serial",
                "file:" + console,
                "-serial",
                "file:" + said,
                "-fsdev",
                "local,id=machine,path=/,security_model=none,readonly=on,multidevs=remap",
                "-device",
                "virtio-9p-pci,fsdev=machine,mount_tag=machine",
                "-kernel",
                guests.resolve("host.vmlinuz").toString(),
                "-initrd",
                guests.resolve("host.cpio").toString(),
                "-append",
                // The kernel counts its timer's first interrupts, and panics when a busy machine is late with them.
                "console=ttyS0 quiet no_timer_check panic=-1 run=" + script);
    }

    /** Starts a JVM as this one is, on the same class path; its processor is slow, and need not check what compilers have made. */
    private static Path script(Path directory, Class<?> program, int heapMib) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-Xmx" + heapMib + "m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
        command.addAll(List.of("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), program.getName(), directory.toString()));
        Path script = directory.resolve("run");
        Files.writeString(script, "#!/bin/sh\nexec '" + String.join("' '", command) + "'\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();
        return script;
    }
}
