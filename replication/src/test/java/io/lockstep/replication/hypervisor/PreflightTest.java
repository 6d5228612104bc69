package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.replication.LockstepException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class PreflightTest {
    private static void assertRefused(ThrowingCallable call, String code, String message) {
        assertThatThrownBy(call)
                .isInstanceOf(LockstepException.class)
                .hasMessage(message)
                .extracting(e -> ((LockstepException) e).code())
                .isEqualTo(code);
    }

    @Test
    void shouldRefuseWhenQemuIsTooOld() {
        assertRefused(
                () -> Preflight.checkVersion(new QemuVersion(7, 1, 9)),
                "qemu-too-old",
                "QEMU 7.1.9 < 7.2.0, the oldest that Lockstep protects. Upgrade QEMU and start the VM anew.");
    }

    @Test
    void shouldRefuseWhenADeviceWritesMemoryUnseen() {
        assertRefused(
                () -> Preflight.checkDevice("vfio-pci"),
                "device-vfio",
                "The VM has a passed-through device (vfio-pci), which writes memory unseen and whose state cannot be saved."
                        + " Use a virtio device instead.");
        assertRefused(
                () -> Preflight.checkDevice("vhost-user-blk-pci"),
                "device-vhost-user",
                "The VM has a vhost-user device (vhost-user-blk-pci), whose other process writes memory unseen."
                        + " Use a virtio device served by QEMU instead.");
        assertRefused(
                () -> Preflight.checkDevice("vhost-vdpa-device-pci"),
                "device-vdpa",
                "The VM has a vDPA device (vhost-vdpa-device-pci), which writes memory unseen."
                        + " Use a virtio device served by QEMU instead.");
    }

    @Test
    void shouldRefuseWhenANetworkBackendWritesMemoryUnseen() {
        assertRefused(
                () -> Preflight.checkNetwork("n0: index=0,type=nic\n \\ net0: index=0,type=vhost-user,..."),
                "device-vhost-user",
                "The VM has a vhost-user network backend, which writes memory unseen."
                        + " Use a tap or bridge backend instead.");
        assertRefused(
                () -> Preflight.checkNetwork(" \\ net0: index=0,type=vhost-vdpa,vhostdev=/dev/vhost-vdpa-0"),
                "device-vdpa",
                "The VM has a vhost-vdpa network backend, which writes memory unseen."
                        + " Use a tap or bridge backend instead.");
    }

    @Test
    void shouldRefuseWhenMigrationIsBlockedOrUnderWay() throws Exception {
        ObjectMapper json = new ObjectMapper();
        assertRefused(
                () -> Preflight.checkMigration(json.readTree("{\"blocked\":true,\"blocked-reasons\":[\"a\",\"b\"]}")),
                "migration-blocked",
                "QEMU says that this VM cannot be saved: a; b. Start it without the device or option that is named.");
        assertRefused(
                () -> Preflight.checkMigration(json.readTree("{\"status\":\"active\"}")),
                "migration-active",
                "A migration or snapshot is under way (status active). Wait for its end or cancel it (migrate_cancel).");
        Preflight.checkMigration(json.readTree("{\"status\":\"completed\"}"));
    }

    @Test
    @Tag("system")
    void shouldTellFactsWhenVmCanBeProtected() throws Exception {
        try (TestVm vm = TestVm.start(
                        "-machine", "q35", "-m", "size=32M,slots=2,maxmem=256M", "-device", "virtio-balloon-pci");
                QmpConnection qmp = vm.connect()) {
            QemuFacts facts = new Preflight(qmp, vm.pid()).check();
            assertThat(facts.machineType()).startsWith("pc-q35-");
            assertThat(facts.version()).isEqualTo(qmp.version());
            assertThat(facts.hasDiscardDevice()).isTrue();
            assertThat(facts.earlyArmingSafe()).isTrue();
            assertThat(facts.deviceTypes()).contains("virtio-balloon-pci", "ICH9-LPC");
        }
    }

    @Test
    @Tag("system")
    void shouldForbidEarlyArmingWhenADiskIsOpenedDirectly() throws Exception {
        // O_DIRECT needs a file system that has it: the build's own directory, not a tmpfs.
        Path disk = Files.createTempFile(Path.of("target"), "disk", ".raw").toAbsolutePath();
        try (RandomAccessFile file = new RandomAccessFile(disk.toFile(), "rw")) {
            file.setLength(1 << 20);
        }
        try (TestVm vm = TestVm.start(
                        "-machine", "pc", "-m", "16", "-drive", "if=virtio,format=raw,cache=none,file=" + disk);
                QmpConnection qmp = vm.connect()) {
            assertThat(new Preflight(qmp, vm.pid()).check().earlyArmingSafe()).isFalse();
        } finally {
            Files.delete(disk);
        }
    }

    @Test
    @Tag("system")
    void shouldRefuseAndLeaveQemuAliveWhenItHasNvme() throws Exception {
        try (TestVm vm = TestVm.start(
                        "-machine",
                        "pc",
                        "-m",
                        "16",
                        "-drive",
                        "if=none,id=d0,format=raw,file=null-co://,file.size=1M",
                        "-device",
                        "nvme,serial=x,drive=d0");
                QmpConnection qmp = vm.connect()) {
            assertThatThrownBy(() -> new Preflight(qmp, vm.pid()).check())
                    .hasMessageStartingWith("The VM has an NVMe device (nvme")
                    .hasMessageEndingWith(
                            "), and QEMU crashes when its state is saved." + " Use virtio-blk or virtio-scsi instead.");
            assertThat(qmp.execute("query-status").path("status").asText()).isEqualTo("running");
        }
    }

    @Test
    @Tag("system")
    void shouldRefuseWithQemusReasonWhenMigrationIsBlocked() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect()) {
            // A disk that cannot be migrated blocks at once.
            Path files = Files.createDirectory(vm.directory().resolve("files"));
            qmp.execute(
                    "blockdev-add", Map.of("driver", "vvfat", "node-name", "v", "rw", true, "dir", files.toString()));
            List<String> reasons = new ArrayList<>();
            qmp.execute("query-migrate").path("blocked-reasons").forEach(r -> reasons.add(r.asText()));
            assertThat(reasons).isNotEmpty();
            assertRefused(
                    () -> new Preflight(qmp, vm.pid()).check(),
                    "migration-blocked",
                    "QEMU says that this VM cannot be saved: " + String.join("; ", reasons)
                            + ". Start it without the device or option that is named.");
        }
    }

    @Test
    @Tag("system")
    void shouldRefuseWhenTheVmWaitsForAMigration() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16", "-incoming", "defer");
                QmpConnection qmp = vm.connect()) {
            assertRefused(
                    () -> new Preflight(qmp, vm.pid()).check(),
                    "vm-state",
                    "The VM's run state is inmigrate, not one of running, paused, prelaunch."
                            + " Bring it to one of them (cont, system_reset) first.");
        }
    }

    @Test
    @Tag("system")
    void shouldRefuseWhenTheAgentHasNoRightOverQemu() throws Exception {
        Assumptions.assumeTrue(System.getProperty("user.name").equals("root"), "only root has capabilities to give up");
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16")) {
            // The same user, but without capabilities: the kernel lets nobody trace a process that has more than he.
            List<String> command = new ArrayList<>(List.of("setpriv", "--inh-caps=-all", "--bounding-set=-all"));
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                    .filter(a -> a.startsWith("--"))
                    .toList());
            command.addAll(List.of("-cp", System.getProperty("java.class.path"), Unprivileged.class.getName()));
            command.addAll(List.of(String.valueOf(vm.pid()), vm.qmpSocket().toString()));
            Process child =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(child.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(said)
                    .startsWith("qemu-no-privilege: Not enough privilege over QEMU (pid " + vm.pid() + "): ")
                    .endsWith(". Run the agent as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.");
        }
    }

    /** A process of another user that asks for protection. */
    public static final class Unprivileged {
        private Unprivileged() {}

        /** Arguments: pid and QMP socket. */
        public static void main(String[] args) throws Exception {
            try (QmpConnection qmp = QmpConnection.open(Path.of(args[1]), 5_000_000_000L)) {
                new Preflight(qmp, Long.parseLong(args[0])).check();
                System.out.print("accepted");
            } catch (LockstepException e) {
                System.out.print(e.code() + ": " + e.getMessage());
            }
        }
    }
}
