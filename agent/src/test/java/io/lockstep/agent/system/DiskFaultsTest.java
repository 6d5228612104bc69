package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.DiskView;
import io.lockstep.agent.view.DrillView;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What breaks the mirror of a disk, and disks that need none, with real VMs whose guest holds every sector against its memory. */
@Tag("system")
class DiskFaultsTest {
    @Test
    @Timeout(240)
    void shouldNotCopyASharedDiskAndOpenItOnThePeer() throws Exception {
        String configuration = """
                [fence]
                command = ["/bin/sh", "-c", "echo fenced >> DIR/fences"]
                [vms.vm1.disks.san]
                shared = true
                """;
        try (TwoHosts hosts = new TwoHosts(configuration)) {
            Path san = disk(hosts, "san.qcow2", "qcow2", "32M");
            Path own = disk(hosts, "own.raw", "raw", "8M");
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "disk=/dev/vda",
                    "-drive",
                    "if=none,id=san,format=qcow2,cache=none,file=" + san,
                    "-device",
                    "virtio-blk-pci,drive=san",
                    "-drive",
                    "if=none,id=own,format=raw,file=" + own,
                    "-device",
                    "virtio-blk-pci,drive=own"));
            Path serial = hosts.directory().resolve("vm1.serial");
            awaitProgress(serial);
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            List<DiskView> disks = hosts.a().protection("vm1").disks();
            assertThat(disks).extracting(DiskView::name).containsExactly("own", "san");
            assertThat(disks).extracting(DiskView::shared).containsExactly(false, true);
            assertThat(disks).extracting(DiskView::mirrored).containsExactly(true, false);
            try (QmpConnection monitor = vm.monitor()) {
                assertThat(monitor.execute("query-block-jobs")).hasSize(1);
            }
            awaitProgress(serial);

            assertThatThrownBy(() -> hosts.b().verbs().drill("vm1", (phase, done, total) -> {}))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-shared-disk"))
                    .hasMessageContaining("Such a VM has no drills.");
            assertThat(hosts.b().replica("vm1").orElseThrow().drill())
                    .as("such a VM is none the worse")
                    .matches(drill -> drill.state().equals(DrillView.NONE) && drill.failures() == 0);

            // The primary's QEMU has the image locked until it ends, which a standby that is loaded must not mind.
            hosts.a().switchover("vm1");
            long pid = hosts.b().awaitPromotion("vm1").pid();
            assertThat(commandLine(pid)).contains("file=" + san).doesNotContain("file=" + own + ",");
            awaitProgress(serial);

            hosts.b().protectWithStandby(pid, hosts.a());
            awaitProgress(serial);
            vm.chain().cut();
            ProcessHandle.of(pid).orElseThrow().destroyForcibly();
            long back = hosts.a().awaitPromotion("vm1").pid();
            assertThat(commandLine(back)).contains("file=" + san);
            // What was written after the last epoch is on a shared disk, and not in the memory: no sector is checked
            // here.
            vm.chain().awaitSweep();
            assertThat(hosts.directory().resolve("fences")).doesNotExist();
        }
    }

    @Test
    @Timeout(120)
    void shouldRefuseASharedDiskThatIsNotThereOrCannotBeFenced() throws Exception {
        try (TwoHosts hosts =
                new TwoHosts("[vms.vm1.disks.sam]\nshared = true\n[vms.vm2.disks.\"DIR/san.raw\"]\nshared = true\n")) {
            Path san = disk(hosts, "san.raw", "raw", "8M");
            String[] options = {
                "-drive",
                "if=none,id=san,format=raw,file.locking=off,file=" + san,
                "-device",
                "virtio-blk-pci,drive=san"
            };
            SystemVm unknown = hosts.boot(SystemVm.Boot.micro("vm1", options));
            assertThatThrownBy(() -> hosts.a().protect(unknown.pid()))
                    .isInstanceOf(LockstepException.class)
                    .hasMessage(
                            "the configuration declares disk sam of vm1 as shared, and vm1 has no such disk; the nearest name is"
                                    + " san. Its disks are san (" + san + ").");
            unknown.kill();

            SystemVm unfenced = hosts.boot(SystemVm.Boot.micro("vm2", options));
            assertThatThrownBy(() -> hosts.a().protect(unfenced.pid()))
                    .isInstanceOf(LockstepException.class)
                    .hasMessage("VM vm2 has disks that both hosts see, san (" + san
                            + "), and this peer has no fence command: nothing"
                            + " would keep two QEMUs from writing to them. Configure [fence] command on the peer, or remove their"
                            + " `shared = true` so that they are copied.");
            try (QmpConnection monitor = unfenced.monitor()) {
                assertThat(monitor.execute("query-block-jobs")).isEmpty();
            }
        }
    }

    @Test
    @Timeout(240)
    void shouldSayThatAMirrorIsBrokenAndMendItWhenSomebodyCancelsItsJob() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path disk = disk(hosts, "disk.qcow2", "qcow2", "32M");
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "disk=/dev/vda",
                    "-drive",
                    "if=none,id=disk,format=qcow2,cache=none,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk"));
            Path serial = hosts.directory().resolve("vm1.serial");
            awaitProgress(serial);
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            for (int round = 0; round < 3; round++) {
                int told = brokenMirrors(hosts.a());
                try (QmpConnection monitor = vm.monitor()) {
                    // In order: by force QEMU 7.2 sometimes crashes under a guest that writes.
                    monitor.execute("block-job-cancel", Map.of("device", "lockstep-disk-0"));
                }
                Waits.until("an event of the broken mirror", 10, () -> brokenMirrors(hosts.a()) > told);
                awaitProtected(hosts.a());
                awaitProgress(serial);
            }
            ProtectionStatus status = hosts.a().protection("vm1");
            assertThat(status.fullCopies()).isEqualTo(1);
            assertThat(status.disks().get(0).bytesTotal()).as("copied again").isLessThan(16L << 20);
            hosts.a().awaitEpochs("vm1", 5);
            vm.kill();
            hosts.b().awaitPromotion("vm1");
            awaitProgress(serial);
            vm.chain().awaitSweep();
        }
    }

    /** Run by root: the images' file system is one of the test's own. */
    @Test
    @Timeout(300)
    void shouldSayThatThePeersDiskIsFullAndGoOnWhenThereIsRoom() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path images = Files.createDirectories(hosts.b().paths().state().resolve("disks"));
            run("mount", "-t", "tmpfs", "-o", "size=6M", "lockstep-test", images.toString());
            try {
                fillAndGoOn(hosts, images);
            } finally {
                hosts.b().daemon().close();
                run("umount", "-l", images.toString());
            }
        }
    }

    private static void fillAndGoOn(TwoHosts hosts, Path images) throws Exception {
        Path disk = disk(hosts, "disk.qcow2", "qcow2", "32M");
        SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                "vm1",
                "disk=/dev/vda",
                "-drive",
                "if=none,id=disk,format=qcow2,cache=none,file=" + disk,
                "-device",
                "virtio-blk-pci,drive=disk"));
        Path serial = hosts.directory().resolve("vm1.serial");
        // The guest goes on to write 8 MiB in all: more than there is room for.
        try {
            hosts.a().protect(vm.pid());
        } catch (LockstepException e) {
            // It had written all of them before the first copy was whole.
            assertThat(e.code()).isEqualTo("peer-disk-full");
            run("mount", "-o", "remount,size=64M", images.toString());
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            endOnPeer(hosts, vm, serial);
            return;
        }
        Waits.until(
                "the peer's word that its disk is full",
                120,
                () -> hosts.a().protection("vm1").lastError() != null
                        && hosts.a().protection("vm1").lastError().code().equals("peer-disk-full"));
        assertThat(hosts.a().protection("vm1").state().name()).isEqualTo("reconnecting");
        assertThat(hosts.b().replica("vm1").orElseThrow().state().reason())
                .startsWith("The peer has no space for the replica: ")
                .contains("disk-0.raw")
                .endsWith("Free space there: what is committed is kept, and the copy goes on by itself.");
        awaitProgress(serial);
        // Neither a stale state nor a torn one.
        assertThatThrownBy(() -> hosts.b().verbs().failover("vm1", true, (phase, done, total) -> {}))
                .isInstanceOf(LockstepException.class)
                .hasMessageContaining("The peer has no space for the replica: ");

        run("mount", "-o", "remount,size=64M", images.toString());
        awaitProtected(hosts.a());
        assertThat(hosts.a().protection("vm1").fullCopies()).isEqualTo(1);
        Waits.until(
                "a standby", 30, () -> hosts.b().replica("vm1").orElseThrow().standbyReady());
        endOnPeer(hosts, vm, serial);
    }

    private static void endOnPeer(TwoHosts hosts, SystemVm vm, Path serial) throws Exception {
        hosts.a().awaitEpochs("vm1", 20);
        awaitProgress(serial);
        vm.kill();
        hosts.b().awaitPromotion("vm1");
        awaitProgress(serial);
        vm.chain().awaitSweep();
    }

    private static int brokenMirrors(Host host) {
        return (int) host.verbs().events().after(0, EventLog.CAPACITY).events().stream()
                .filter(e -> e.kind().equals(AgentEvent.PROTECTION)
                        && e.state().equals("reconnecting")
                        && e.text().contains("the mirror of a disk broke: QEMU's job lockstep-disk-0 ended"))
                .count();
    }

    private static void awaitProtected(Host host) throws Exception {
        Waits.until(
                "protection", 60, () -> host.protection("vm1").state().name().equals("protected"));
    }

    private static Path disk(TwoHosts hosts, String name, String format, String size) throws Exception {
        Path disk = hosts.directory().resolve(name);
        run("qemu-img", "create", "-q", "-f", format, disk.toString(), size);
        return disk;
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor()).as(String.join(" ", command)).isZero();
    }

    private static String commandLine(long pid) throws IOException {
        return Files.readString(Path.of("/proc/" + pid + "/cmdline"), StandardCharsets.ISO_8859_1);
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
}
