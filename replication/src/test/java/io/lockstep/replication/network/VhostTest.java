package io.lockstep.replication.network;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Netdevs that use vhost, whatever kernel this host has: QEMU runs in a machine with the distribution's kernel, which has vhost-net. */
@Tag("system")
@Timeout(420)
class VhostTest {
    private static final String OBSTACLE =
            ", obstacle=it uses vhost, which sends past QEMU, cure=start the VM with vhost=off on -netdev ";

    @TempDir
    Path directory;

    @Test
    void shouldFindVhostOrHearOfItFromQemu() throws Exception {
        Path guests = guests();
        Path console = directory.resolve("console");
        Path said = directory.resolve("said");
        Path log = directory.resolve("qemu.log");
        Process machine = new ProcessBuilder(machine(guests, console, said, script()))
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        boolean ended;
        try {
            ended = machine.waitFor(300, TimeUnit.SECONDS);
        } finally {
            machine.destroyForcibly();
        }
        String output = Files.readString(console, UTF_8) + Files.readString(log) + Files.readString(said);
        assertThat(ended).as(output).isTrue();
        String fast = "NetDevice[name=fast, nic=nic0" + OBSTACLE + "fast]";
        String slow = "NetDevice[name=slow, nic=nic1, obstacle=, cure=]";
        assertThat(Files.readString(said).lines().map(String::strip))
                .as(output)
                .containsExactly(
                        "vhost: found: [" + fast + ", " + slow + ", NetDevice[name=later, nic=nic2, obstacle=, cure=]]",
                        "vhost: tried: [" + fast + ", " + slow + ", NetDevice[name=later, nic=nic2" + OBSTACLE
                                + "later]]",
                        "vhost: left: false",
                        "vhost: refusal: true",
                        "vhost: output-not-holdable: What the VM sends through netdev fast (NIC nic0) cannot be held until the"
                                + " peer has it: it uses vhost, which sends past QEMU. Start the VM with vhost=off on -netdev"
                                + " fast; or give --allow-unheld-output to protect the VM without holding this netdev's output.",
                        "vhost: QEMU: QEMU refused object-add: Vhost is not supported.",
                        "exit 0");
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

    private static List<String> machine(Path guests, Path console, Path said, Path script) {
        return List.of(
                "qemu-system-x86_64",
                "-accel",
                "tcg,thread=multi",
                "-machine",
                "q35",
                "-m",
                "1024",
                "-smp",
                "2",
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

    /** Starts a JVM as this one is, on the same class path; its processors are slow and its memory is small. */
    private Path script() throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), VhostGuestMain.class.getName()));
        Path script = directory.resolve("run");
        Files.writeString(script, "#!/bin/sh\nexec '" + String.join("' '", command) + "'\n");
        assertThat(script.toFile().setExecutable(true)).isTrue();
        return script;
    }
}
