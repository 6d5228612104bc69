package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.Pidfd;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("system")
class QemuStandbyTest {
    private static final ProcessOwner NOBODY = new ProcessOwner(65534, 65534);
    private static final List<String> AS_NOBODY =
            List.of("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups");

    /** Where that user can read it. */
    private final Path elf =
            Path.of("/dev/shm/lockstep-micro-" + ProcessHandle.current().pid() + ".elf");

    @AfterEach
    void removeElf() throws Exception {
        Files.deleteIfExists(elf);
    }

    private static TestVm micro(String... more) throws Exception {
        List<String> arguments =
                new ArrayList<>(List.of("-m", "64", "-kernel", MicroGuest.elf().toString()));
        arguments.addAll(List.of("-append", "mb=16 hz=100", "-serial", "file:@DIR@/serial"));
        arguments.addAll(List.of(more));
        return TestVm.start(arguments.toArray(String[]::new));
    }

    private static void awaitTick(Path serial, long tick) {
        Awaitility.await("tick " + tick)
                .atMost(30, TimeUnit.SECONDS)
                .pollInterval(5, TimeUnit.MILLISECONDS)
                .until(() -> MicroGuest.lastTick(serial) >= tick);
    }

    private static void roundTrip(TestVm vm, List<String> blocksExpected) throws Exception {
        Path serial = vm.directory().resolve("serial");
        try (QmpConnection qmp = vm.connect();
                Pidfd pidfd = vm.pidfd()) {
            awaitTick(serial, 20);
            try (Replica replica = new Replica(vm, qmp)) {
                assertThat(replica.blocks.stream().map(b -> b.name()).toList()).containsAll(blocksExpected);
                assertThat(replica.copy(pidfd)).isEqualTo(HeldSave.Outcome.COMPLETE);
                long copiedAt = MicroGuest.lastTick(serial);
                awaitTick(serial, copiedAt + 20);
                long pid;
                try (QemuStandby standby = QemuStandby.spawn(replica.spec(Map.of()))) {
                    assertThat(standby.ready()).isTrue();
                    replica.fill(standby);
                    vm.kill();
                    long diedAt = MicroGuest.lastTick(serial);
                    long startNs = System.nanoTime();
                    standby.load(replica.state);
                    long loadedNs = System.nanoTime();
                    standby.run();
                    long ranNs = System.nanoTime();
                    System.out.printf(
                            "standby: load %d us, run %d us%n", (loadedNs - startNs) / 1000, (ranNs - loadedNs) / 1000);
                    pid = standby.pid();
                    awaitTick(serial, diedAt + 20);
                }
                ProcessIdentity promoted = ProcessIdentity.of(pid);
                assertThat(QemuStandby.toldToRun(replica.directory.resolve("standby"), promoted))
                        .isTrue();
                assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of())))
                        .hasMessage("The standby in " + replica.directory.resolve("standby") + " (pid " + pid
                                + ") was promoted and runs the VM. Shut that down first, or protect it from here.");
                assertThat(promoted.alive()).isTrue();
                StandbyProcess.end(promoted);
                Map<Long, List<String>> ticks = MicroGuest.ticks(serial);
                // What the primary did after the copy, the standby did again, and came to the same.
                assertThat(ticks.values().stream().filter(h -> h.size() > 1).count())
                        .isGreaterThan(10);
                assertThat(ticks.values())
                        .allSatisfy(h -> assertThat(h.stream().distinct()).hasSize(1));
            }
        }
    }

    @Test
    void shouldGoOnWhereTheCopyWasTakenWhenPcWithVgaAndPrivateMemoryDies() throws Exception {
        try (TestVm vm = micro("-machine", "pc", "-vga", "std", "-nic", "user,model=virtio-net-pci")) {
            roundTrip(vm, List.of("pc.ram", "0000:00:02.0/vga.vram", "/rom@etc/acpi/tables"));
        }
    }

    @Test
    void shouldGoOnWhereTheCopyWasTakenWhenQ35WithMemfdDies() throws Exception {
        try (TestVm vm = micro(
                "-machine", "q35,memory-backend=ram0", "-object", "memory-backend-memfd,id=ram0,size=64M,share=on")) {
            roundTrip(vm, List.of("ram0", "pc.bios"));
        }
    }

    @Test
    void shouldRunAsTheUserOfThePrimaryWhenThatIsNotRoot() throws Exception {
        try (TestVm vm = ofNobody(elf)) {
            assertThat(vm.found().uid()).isEqualTo(NOBODY.uid());
            roundTrip(vm, List.of("pc.ram"));
        }
    }

    private static TestVm ofNobody(Path elf) throws Exception {
        Assumptions.assumeTrue(System.getProperty("user.name").equals("root"), "only root may change users");
        Files.copy(MicroGuest.elf(), elf);
        elf.toFile().setReadable(true, false);
        return TestVm.startAs(
                AS_NOBODY,
                "-machine",
                "pc",
                "-m",
                "64",
                "-kernel",
                elf.toString(),
                "-append",
                "mb=16 hz=100",
                "-serial",
                "file:@DIR@/serial",
                "-sandbox",
                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    }

    @Test
    void shouldKeepItsFilesOutOfReachOfTheUserOfQemu() throws Exception {
        try (TestVm vm = ofNobody(elf);
                QmpConnection qmp = vm.connect();
                Pidfd pidfd = vm.pidfd();
                Replica replica = new Replica(vm, qmp)) {
            assertThat(replica.copy(pidfd)).isEqualTo(HeldSave.Outcome.COMPLETE);
            Path roots = Files.writeString(replica.directory.resolve("roots"), "as it was");
            Path directory = Files.createDirectory(replica.directory.resolve("standby"));
            // That user had all of it: a record that names another process, and links where files of root's will be.
            NOBODY.own(directory);
            new StandbyRecord(vm.found().identity(), StandbyRecord.Stage.WAITING).write(directory);
            for (String name : List.of("standby.log", "standby.started", "standby.pid.new", "qemu")) {
                Files.createSymbolicLink(directory.resolve(name), roots);
            }

            try (QemuStandby standby = QemuStandby.spawn(replica.spec(Map.of()))) {
                assertThat(vm.found().identity().alive()).isTrue();
                Path qemu = directory.resolve("qemu");
                assertThat(modeAndOwner(directory)).isEqualTo("rwx--x--x 0");
                assertThat(modeAndOwner(directory.resolve("standby.pid"))).matches("rw-r--(r|-)-- 0");
                assertThat(modeAndOwner(directory.resolve("standby.log"))).matches("rw-r--(r|-)-- 0");
                assertThat(modeAndOwner(qemu)).endsWith(" 65534");
                assertThat(modeAndOwner(qemu.resolve("standby.qmp"))).endsWith(" 65534");

                for (String name : List.of("standby.log", "standby.pid", "standby.pid.new", "standby.started")) {
                    assertThat(linkAsNobody(roots, directory.resolve(name)))
                            .as(name)
                            .isNotZero();
                    assertThat(linkAsNobody(roots, qemu.resolve(name))).as(name).isZero();
                }
                assertThat(linkAsNobody(roots, qemu.resolve("load.sock"))).isZero();
                replica.fill(standby);
                standby.load(replica.state);
            }
            assertThat(linkAsNobody(roots, directory.resolve("qemu/standby.qmp")))
                    .isZero();
            try (QemuStandby standby = QemuStandby.spawn(replica.spec(Map.of()))) {
                assertThat(standby.ready()).isTrue();
            }
            assertThat(roots).hasContent("as it was");
            assertThat(modeAndOwner(roots)).endsWith(" 0");
        }
    }

    private static String modeAndOwner(Path file) throws Exception {
        Map<String, Object> attributes = Files.readAttributes(file, "unix:permissions,uid", LinkOption.NOFOLLOW_LINKS);
        @SuppressWarnings("unchecked")
        Set<PosixFilePermission> permissions = (Set<PosixFilePermission>) attributes.get("permissions");
        return PosixFilePermissions.toString(permissions) + " " + attributes.get("uid");
    }

    /** The exit code of ln. */
    private static int linkAsNobody(Path target, Path link) throws Exception {
        List<String> command = new ArrayList<>(AS_NOBODY);
        command.addAll(List.of("ln", "-sfn", target.toString(), link.toString()));
        Process process = new ProcessBuilder(command).start();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }

    @Test
    void shouldRefuseWhenALinkIsInPlaceOfTheDirectory() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            Path elsewhere = Files.createDirectory(replica.directory.resolve("elsewhere"));
            Path directory = Files.createSymbolicLink(replica.directory.resolve("standby"), elsewhere);
            assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of())))
                    .hasMessage("Cannot make " + directory + " a directory of the agent's own: " + directory
                            + " is a link or a file != a directory. Remove what is there.");
            assertThat(elsewhere).isEmptyDirectory();
        }
    }

    @Test
    void shouldRefuseWhenAnotherProcessListensAtTheStandbysSocket() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            Path program = replica.directory.resolve("not-qemu");
            Files.writeString(
                    program, "#!/bin/sh\nsetpriv --pdeathsig KILL qemu-system-x86_64 \"$@\" &\nexec sleep 60\n");
            Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
            assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of("qemu-system-x86_64", program.toString()))))
                    .hasMessageStartingWith("The socket " + replica.directory.resolve("standby/qemu/standby.qmp")
                            + " is not QEMU's: pid ")
                    .hasMessageContaining(" listens there != QEMU (pid ");
        }
    }

    private static String hash(Path file) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    }

    private static void spawnKeepsMemory(TestVm vm) throws Exception {
        try (QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            for (Path file : replica.files.values()) {
                byte[] pattern = new byte[(int) Files.size(file)];
                for (int i = 0; i < pattern.length; i++) {
                    pattern[i] = (byte) (i * 31 + (i >>> 12));
                }
                Files.write(file, pattern);
            }
            List<String> before = new ArrayList<>();
            for (Path file : replica.files.values()) {
                before.add(hash(file));
            }
            try (QemuStandby standby = QemuStandby.spawn(replica.spec(Map.of()))) {
                assertThat(standby.ready()).isTrue();
                assertThat(QemuStandby.toldToRun(
                                replica.directory.resolve("standby"), ProcessIdentity.of(standby.pid())))
                        .isFalse();
            }
            List<String> after = new ArrayList<>();
            for (Path file : replica.files.values()) {
                after.add(hash(file));
            }
            assertThat(after).isEqualTo(before).isNotEmpty();
            // That it was never told to run can be asked for still.
            StandbyRecord record =
                    StandbyRecord.read(replica.directory.resolve("standby")).orElseThrow();
            assertThat(record.process().alive()).isFalse();
            assertThat(QemuStandby.toldToRun(replica.directory.resolve("standby"), record.process()))
                    .isFalse();
        }
    }

    @Test
    void shouldEndAStandbyThatAnEndedAgentDidNotRecord() throws Exception {
        try (TestVm vm = micro("-machine", "pc");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            Path directory = replica.directory.resolve("standby");
            try (QemuStandby unrecorded = QemuStandby.spawn(replica.spec(Map.of()))) {
                ProcessIdentity process = ProcessIdentity.of(unrecorded.pid());
                assertThat(directory.resolve("standby.started")).doesNotExist();
                StandbyRecord.remove(directory);
                Files.writeString(directory.resolve("standby.started"), process.pid() + "\n");

                try (QemuStandby next = QemuStandby.spawn(replica.spec(Map.of()))) {
                    assertThat(next.ready()).isTrue();
                    assertThat(process.alive()).isFalse();
                    // A number that is another's by now.
                    StandbyRecord.remove(directory);
                    Files.writeString(
                            directory.resolve("standby.started"),
                            vm.found().identity().pid() + "\n");
                    QemuStandby.endLeftover(directory);
                    assertThat(vm.found().identity().alive()).isTrue();
                    new StandbyRecord(ProcessIdentity.of(next.pid()), StandbyRecord.Stage.WAITING).write(directory);
                }
            }
        }
    }

    @Test
    void shouldRunAStandbyThatAnEndedAgentWasTellingTo() throws Exception {
        try (TestVm vm = micro("-machine", "pc");
                QmpConnection qmp = vm.connect();
                Pidfd pidfd = vm.pidfd();
                Replica replica = new Replica(vm, qmp)) {
            Path serial = vm.directory().resolve("serial");
            Path directory = replica.directory.resolve("standby");
            awaitTick(serial, 20);
            assertThat(replica.copy(pidfd)).isEqualTo(HeldSave.Outcome.COMPLETE);
            ProcessIdentity process;
            try (QemuStandby standby = QemuStandby.spawn(replica.spec(Map.of()))) {
                replica.fill(standby);
                vm.kill();
                standby.load(replica.state);
                process = ProcessIdentity.of(standby.pid());
                assertThat(QemuStandby.toldToRun(directory, process)).isFalse();
                // As if it ended right after the record, before the order.
                standby.release();
                new StandbyRecord(process, StandbyRecord.Stage.STARTING).write(directory);
            }
            try {
                long diedAt = MicroGuest.lastTick(serial);
                assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of())))
                        .isInstanceOfSatisfying(LockstepException.class, e -> assertThat(e.code())
                                .isEqualTo("standby-promoted"));

                assertThat(QemuStandby.toldToRun(directory, process)).isTrue();

                awaitTick(serial, diedAt + 20);
                assertThat(StandbyRecord.read(directory).orElseThrow().stage()).isEqualTo(StandbyRecord.Stage.RUN);
                // Somebody has it stand still: what runs is no longer this agent's to order.
                try (QmpConnection own = QmpConnection.open(
                        StandbyCommandLine.qmpSocket(directory), ListeningProcess.itself(process), 10_000_000_000L)) {
                    own.execute("stop");
                }
                assertThat(QemuStandby.toldToRun(directory, process)).isTrue();
                try (QmpConnection own = QmpConnection.open(
                        StandbyCommandLine.qmpSocket(directory), ListeningProcess.itself(process), 10_000_000_000L)) {
                    assertThat(own.execute("query-status").path("status").asText())
                            .isEqualTo("paused");
                }
            } finally {
                StandbyProcess.end(process);
            }
        }
    }

    @Test
    void shouldLeaveTheReplicaAsItIsWhenSpawnedForPcAndKernel() throws Exception {
        try (TestVm vm = micro("-machine", "pc", "-vga", "std")) {
            spawnKeepsMemory(vm);
        }
    }

    @Test
    void shouldLeaveTheReplicaAsItIsWhenSpawnedForQ35() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "q35", "-m", "32", "-nic", "user,model=virtio-net-pci")) {
            spawnKeepsMemory(vm);
        }
    }

    @Test
    void shouldLeaveTheReplicaAsItIsWhenSpawnedForFlashFirmware() throws Exception {
        Path code = Path.of("/usr/share/OVMF/OVMF_CODE_4M.fd");
        Assumptions.assumeTrue(Files.exists(code), "package ovmf");
        try (TestVm vm = TestVm.start(
                "-machine",
                "q35",
                "-m",
                "64",
                "-drive",
                "if=pflash,format=raw,readonly=on,file=" + code,
                "-drive",
                "if=pflash,format=raw,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.fd")) {
            spawnKeepsMemory(vm);
        }
    }

    @Test
    void shouldRefuseStandbyWhenItsMemoryDiffers() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "size=32M");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            assertThatThrownBy(() -> QemuStandby.spawn(
                            replica.spec(Map.of("size=33554432", "size=16777216", "size=32M", "size=16M"))))
                    .hasMessage("standby RAM 16777216 != primary RAM 33554432."
                            + " Correct the override of the standby's command line.");
        }
    }

    @Test
    void shouldRefuseStandbyWhenItsMachineTypeDiffers() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc-i440fx-7.2", "-m", "32");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of("pc-i440fx-7.2", "pc-i440fx-7.1"))))
                    .hasMessage("standby machine pc-i440fx-7.1 != primary machine pc-i440fx-7.2."
                            + " Correct the override of the standby's command line.");
        }
    }

    @Test
    void shouldShowQemusOwnWordsWhenStandbyDoesNotStart() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of("none", "nothing"))))
                    .hasMessageStartingWith("The standby QEMU ended at its start: ")
                    .hasMessageContaining("nothing")
                    .hasMessageEndingWith("standby.log; see the command line with `lockstep protect --dry-run`.");
        }
    }

    @Test
    void shouldShowTheShellsWordsWhenQemuIsNotInstalled() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32");
                QmpConnection qmp = vm.connect();
                Replica replica = new Replica(vm, qmp)) {
            assertThatThrownBy(() -> QemuStandby.spawn(replica.spec(Map.of("qemu-system-x86_64", "qemu-not-there"))))
                    .hasMessageStartingWith("The standby QEMU ended at its start: ")
                    .hasMessageContaining("qemu-not-there: not found");
        }
    }
}
