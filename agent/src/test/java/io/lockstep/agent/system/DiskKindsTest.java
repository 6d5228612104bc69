package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Disks on IDE and USB, overlays over a backing file, and what an operator may do to disks and drives of a VM that is protected. */
@Tag("system")
class DiskKindsTest {
    private static final int BYTES = 4 << 20;

    @Test
    @Timeout(180)
    void shouldMirrorIdeAndRemovableDisksAndOverlaysAndDefineWhatChangesDo() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path directory = hosts.directory();
            byte[] content = new byte[BYTES];
            for (String name : List.of("ide", "usb", "base", "cd")) {
                new Random(name.hashCode()).nextBytes(content);
                Files.write(directory.resolve(name), content);
            }
            Path overlay = directory.resolve("overlay");
            run(
                    "qemu-img",
                    "create",
                    "-q",
                    "-f",
                    "qcow2",
                    "-F",
                    "raw",
                    "-b",
                    directory.resolve("base").toString(),
                    overlay.toString(),
                    "8M");
            SystemVm vm = hosts.boot(new SystemVm.Boot(
                    "vm1",
                    List.of(),
                    List.of(
                            "-m",
                            "64M",
                            "-machine",
                            "pc",
                            "-kernel",
                            Guests.file("micro.elf").toString(),
                            "-append",
                            SystemVm.CHAIN,
                            "-drive",
                            "if=ide,index=0,id=ide0,format=raw,file=" + directory.resolve("ide"),
                            "-drive",
                            "if=ide,index=2,media=cdrom,id=cd0",
                            "-drive",
                            "if=none,id=overlay,format=qcow2,file=" + overlay,
                            "-device",
                            "virtio-blk-pci,drive=overlay",
                            "-device",
                            "qemu-xhci",
                            "-drive",
                            "if=none,id=stick,format=raw,file=" + directory.resolve("usb"),
                            "-device",
                            "usb-storage,drive=stick,removable=on")));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            try (QmpConnection monitor = vm.monitor()) {
                write(monitor, "ide0", 1 << 20, 0x5a);
                write(monitor, "overlay", 6 << 20, 0x5b);
                write(monitor, "stick", 2 << 20, 0x5c);
                refuses(monitor, "block_resize", Map.of("device", "overlay", "size", 16 << 20), "in use");
                refuses(
                        monitor,
                        "eject",
                        Map.of("device", "stick", "force", true),
                        "block device is in use by block job");
                refuses(
                        monitor,
                        "blockdev-snapshot-sync",
                        Map.of(
                                "device",
                                "overlay",
                                "snapshot-file",
                                directory.resolve("snapshot").toString()),
                        "block device is in use by block job");
                assertThat(hosts.a().protection("vm1").state().name()).isEqualTo("protected");

                Path cd = directory.resolve("cd");
                monitor.execute(
                        "blockdev-change-medium", Map.of("device", "cd0", "filename", cd.toString(), "format", "raw"));
                Waits.until(
                        "the end of the protection",
                        10,
                        () -> hosts.a().protection("vm1").state().name().equals("failed"));
                assertThat(hosts.a().protection("vm1").state().reason())
                        .isEqualTo("in drive cd0 is " + cd
                                + " now, in place of nothing. The standby does not have it. Eject it and"
                                + " protect the VM again, or start the VM with it.");
                Waits.until("the end of the mirrors", 10, () -> !monitor.execute("query-named-block-nodes")
                        .toString()
                        .contains("lockstep"));
                assertThat(monitor.execute("query-block-jobs")).isEmpty();
                assertThat(monitor.execute("query-block-exports")).isEmpty();
                hosts.a().unprotect("vm1");
                assertThatThrownBy(() -> hosts.a().protect(vm.pid()))
                        .isInstanceOf(LockstepException.class)
                        .hasMessage("in drive cd0 is " + cd
                                + ", which was put in while the VM ran: a standby, which is started with"
                                + " QEMU's command line, would not have it. Eject it, or start the VM with it.");
                monitor.execute("eject", Map.of("device", "cd0", "force", true));
                hosts.a().protectWithStandby(vm.pid(), hosts.b());
                write(monitor, "ide0", 3 << 20, 0x6a);
            }
            hosts.a().awaitEpochs("vm1", 5);
            vm.kill();
            long pid = hosts.b().awaitPromotion("vm1").pid();
            vm.chain().awaitSweep();
            byte[] ide = same(directory, pid, 0, "raw", "ide");
            byte[] onTop = same(directory, pid, 1, "qcow2", "overlay");
            byte[] usb = same(directory, pid, 2, "raw", "usb");
            assertThat(List.of(ide[1 << 20], ide[3 << 20], onTop[6 << 20], usb[2 << 20]))
                    .containsExactly((byte) 0x5a, (byte) 0x6a, (byte) 0x5b, (byte) 0x5c);
        }
    }

    /** As the guest's device does; what it says of it goes to QEMU's own output. */
    private static void write(QmpConnection monitor, String disk, int at, int pattern) throws Exception {
        monitor.hmp("qemu-io " + disk + " \"write -P " + pattern + " " + at + " 65536\"");
    }

    private static void refuses(QmpConnection monitor, String command, Map<String, ?> arguments, String why) {
        assertThatThrownBy(() -> monitor.execute(command, arguments))
                .as(command)
                .hasMessageContaining(why);
    }

    /** The peer's image has the content of the primary's disk, whatever its format; returns it. */
    private static byte[] same(Path directory, long pid, int disk, String format, String file) throws Exception {
        String commandLine = Files.readString(Path.of("/proc/" + pid + "/cmdline"), StandardCharsets.ISO_8859_1);
        Matcher image = Pattern.compile("[^=\"\0,]*/disk-" + disk + "\\.raw").matcher(commandLine);
        assertThat(image.find()).as("image of %s in %s", file, commandLine).isTrue();
        Path raw = directory.resolve(file + ".compared");
        run(
                "qemu-img",
                "convert",
                "-U",
                "-f",
                format,
                "-O",
                "raw",
                directory.resolve(file).toString(),
                raw.toString());
        assertThat(Files.mismatch(Path.of(image.group()), raw)).as(file).isEqualTo(-1);
        return Files.readAllBytes(raw);
    }

    private static void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor()).as(String.join(" ", command)).isZero();
    }
}
