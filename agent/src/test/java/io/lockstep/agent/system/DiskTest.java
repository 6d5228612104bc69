package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.Promotion;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Disks of real VMs: on the peer, each is exactly as old as the memory. */
@Tag("system")
class DiskTest {
    private static final int DISK_BYTES = 32 << 20;

    @Test
    @Timeout(180)
    void shouldHaveTheDiskOfTheEpochWhenTheVmIsKilled() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path disk = hosts.directory().resolve("disk.raw");
            byte[] content = new byte[DISK_BYTES];
            new Random(7).nextBytes(content);
            Arrays.fill(content, 8 << 20, 24 << 20, (byte) 0);
            Files.write(disk, content);
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "",
                    "-drive",
                    "if=none,id=disk,format=raw,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");

            vm.kill();
            Promotion there = hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();
            Path image = image(there);
            assertThat(Files.mismatch(image, disk)).isEqualTo(-1);
        }
    }

    @Test
    @Timeout(180)
    void shouldMirrorEveryKindOfDiskAndLeaveNothingInQemu() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path directory = hosts.directory();
            byte[] content = new byte[3 << 20];
            new Random(8).nextBytes(content);
            for (String name : List.of("virtio", "scsi", "sata", "cdrom", "readonly")) {
                Files.write(directory.resolve(name), content);
            }
            // A length that is no multiple of a page.
            Files.write(directory.resolve("odd"), Arrays.copyOf(content, (1 << 20) + 512));
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1",
                    "-blockdev",
                    "driver=file,node-name=f0,filename=" + directory.resolve("virtio"),
                    "-blockdev",
                    "driver=raw,node-name=d0,file=f0",
                    "-device",
                    "virtio-blk-pci,drive=d0,id=v0",
                    "-blockdev",
                    "{\"driver\":\"raw\",\"node-name\":\"d1\",\"file\":{\"driver\":\"file\",\"filename\":\""
                            + directory.resolve("scsi") + "\"}}",
                    "-device",
                    "virtio-scsi-pci,id=scsi",
                    "-device",
                    "scsi-hd,bus=scsi.0,drive=d1",
                    "-drive",
                    "if=none,id=d2,format=raw,file=" + directory.resolve("sata"),
                    "-device",
                    "ide-hd,drive=d2,bus=ide.0",
                    "-drive",
                    "if=none,id=d3,format=raw,file=" + directory.resolve("odd"),
                    "-device",
                    "virtio-blk-pci,drive=d3",
                    "-drive",
                    "if=none,id=cd0,format=raw,media=cdrom,readonly=on,file=" + directory.resolve("cdrom"),
                    "-device",
                    "ide-cd,drive=cd0,bus=ide.1",
                    "-drive",
                    "if=none,id=ro,format=raw,readonly=on,file=" + directory.resolve("readonly"),
                    "-device",
                    "virtio-blk-pci,drive=ro",
                    "-device",
                    "ide-cd,bus=ide.2"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");
            try (QmpConnection monitor = vm.monitor()) {
                assertThat(monitor.execute("query-block-jobs")).hasSize(4);
            }

            hosts.a().unprotect("vm1");
            try (QmpConnection monitor = vm.monitor()) {
                assertThat(monitor.execute("query-block-jobs")).isEmpty();
                assertThat(monitor.execute("query-named-block-nodes").toString())
                        .doesNotContain("lockstep");
            }
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            vm.kill();
            Promotion there = hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();
            List<Path> images = images(there);
            List<String> names = List.of("virtio", "scsi", "sata", "odd");
            assertThat(images).hasSize(4);
            for (int i = 0; i < 4; i++) {
                assertThat(Files.mismatch(images.get(i), directory.resolve(names.get(i))))
                        .as(names.get(i))
                        .isEqualTo(-1);
            }
        }
    }

    /** A guest that holds every sector against its memory; one that is older or newer ends it. */
    private static void agreesWithMemory(TwoHosts hosts, SystemVm.Boot boot, int failovers) throws Exception {
        SystemVm vm = hosts.boot(boot);
        Path serial = hosts.directory().resolve("vm1.serial");
        awaitProgress(serial);
        Host here = hosts.a();
        Host there = hosts.b();
        long pid = vm.pid();
        for (int failover = 1; failover <= failovers; failover++) {
            here.protectWithStandby(pid, there);
            here.awaitEpochs("vm1", 20);
            awaitProgress(serial);
            vm.chain().cut();
            long killed = pid;
            ProcessHandle.of(pid).orElseThrow().destroyForcibly();
            Host next = there;
            Waits.until("promotion " + failover, 30, () -> {
                Promotion latest = next.promotion("vm1");
                return latest != null
                        && latest.pid() != killed
                        && ProcessHandle.of(latest.pid()).isPresent();
            });
            pid = next.promotion("vm1").pid();
            there = here;
            here = next;
            awaitProgress(serial);
        }
        vm.chain().awaitSweep();
        assertThat(Files.readString(serial, StandardCharsets.ISO_8859_1)).doesNotContain("MISMATCH");
    }

    private static String image(TwoHosts hosts, String format) throws Exception {
        Path disk = hosts.directory().resolve("disk." + format);
        assertThat(new ProcessBuilder("qemu-img", "create", "-q", "-f", format, disk.toString(), "32M")
                        .start()
                        .waitFor())
                .isZero();
        return "if=none,id=disk,cache=none,format=" + format + ",file=" + disk;
    }

    @Test
    @Timeout(300)
    void shouldAgreeWithMemoryAfterEveryFailoverWhenTheGuestWritesItsDisk() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            agreesWithMemory(
                    hosts,
                    SystemVm.Boot.linux(
                            "vm1",
                            "disk=/dev/vda",
                            "-drive",
                            image(hosts, "qcow2"),
                            "-device",
                            "virtio-blk-pci,drive=disk"),
                    4);
        }
    }

    @Test
    @Timeout(300)
    void shouldAgreeWithMemoryWhenTheGuestWritesAVirtioScsiDisk() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            agreesWithMemory(
                    hosts,
                    SystemVm.Boot.linux(
                            "vm1",
                            "disk=/dev/sda",
                            "-drive",
                            image(hosts, "raw"),
                            "-device",
                            "virtio-scsi-pci,id=scsi",
                            "-device",
                            "scsi-hd,bus=scsi.0,drive=disk"),
                    2);
        }
    }

    @Test
    @Timeout(300)
    void shouldAgreeWithMemoryWhenTheGuestWritesAnIdeDisk() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm.Boot boot = SystemVm.Boot.linux(
                    "vm1", "disk=/dev/sda", "-drive", image(hosts, "raw"), "-device", "ide-hd,bus=ide.0,drive=disk");
            agreesWithMemory(hosts, boot.machine("pc"), 2);
        }
    }

    @Test
    @Timeout(300)
    void shouldAgreeWithMemoryWhenTheGuestWritesASataDisk() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm.Boot boot = SystemVm.Boot.linuxWithSata(
                    "vm1", "disk=/dev/sda", "-drive", image(hosts, "raw"), "-device", "ide-hd,bus=ide.0,drive=disk");
            agreesWithMemory(hosts, boot, 2);
        }
    }

    /** Returns when the guest has found some hundred runs of sectors right. */
    private static void awaitProgress(Path serial) throws Exception {
        int before = progress(serial);
        Waits.until("progress on the disk", 60, () -> progress(serial) >= before + 2);
    }

    private static int progress(Path serial) throws IOException {
        String text = Files.readString(serial, StandardCharsets.ISO_8859_1);
        assertThat(text).doesNotContain("MISMATCH");
        return text.split(" right", -1).length;
    }

    private static Path image(Promotion promotion) throws Exception {
        return images(promotion).get(0);
    }

    /** In the order of the command line. */
    private static List<Path> images(Promotion promotion) throws Exception {
        String commandLine = Files.readString(Path.of("/proc/" + promotion.pid() + "/cmdline"));
        Matcher image = Pattern.compile("[^=\"\0,]*/disk-\\d+\\.raw").matcher(commandLine);
        return image.results().map(found -> Path.of(found.group())).toList();
    }
}
