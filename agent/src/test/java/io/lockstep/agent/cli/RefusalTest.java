package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.cli.TestHost.Ran;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.memory.TrackerFactory;
import io.lockstep.replication.memory.TrackerProbe;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** VMs that cannot be protected, offered to a real agent: refused with the reason, and left as they were. */
@Tag("system")
@Timeout(120)
class RefusalTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long CONNECT_NS = 10_000_000_000L;

    @TempDir
    static Path directory;

    private static TestHost host;
    private static TestHost peer;

    @BeforeAll
    static void start() throws Exception {
        host = new TestHost(directory, "a");
        peer = new TestHost(directory, "b").peer("a", host).start();
        host.peer("b", peer).start();
    }

    @AfterAll
    static void stop() {
        host.close();
        peer.close();
    }

    /** The refusal in both forms, and nothing left of the attempt. */
    private static void assertRefused(TestQemu vm, String code, String message, String... options) throws Exception {
        String[] arguments = new String[options.length + 2];
        arguments[0] = "protect";
        arguments[1] = vm.name;
        System.arraycopy(options, 0, arguments, 2, options.length);
        Ran text = host.run(arguments);
        assertThat(text.err()).isEqualTo("lockstep protect: " + message + "\n");
        assertThat(text.out()).isEmpty();
        assertThat(text.exit()).isEqualTo(ExitCode.REFUSED);
        assertJsonError(host.run(with(arguments, "--json")), code, message);
        vm.assertUntouched();
        assertThat(host.left()).isEmpty();
        assertThat(peer.left()).isEmpty();
    }

    private static String[] with(String[] arguments, String more) {
        String[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = more;
        return all;
    }

    private static void assertJsonError(Ran ran, String code, String message) throws Exception {
        JsonNode error = JSON.readTree(ran.out()).path("error");
        assertThat(error.path("code").asText()).isEqualTo(code);
        assertThat(error.path("message").asText()).isEqualTo(message);
        assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
    }

    @Test
    void shouldSayWhichVmsThereAreWhenThereIsNoSuchVm() throws Exception {
        try (TestQemu vm = TestQemu.start(directory, "present")) {
            for (String wanted : List.of("4194304", "absent", directory + "/absent.qmp")) {
                Ran ran = host.run("protect", wanted);
                assertThat(ran.err())
                        .startsWith("lockstep protect: No QEMU ")
                        .contains(wanted, "runs on this host; there are: ", "present (pid " + vm.pid() + ")")
                        .endsWith(". See `lockstep vms`.\n");
                assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
                assertThat(host.run("protect", wanted, "--json").out())
                        .startsWith("{\"error\":{\"code\":\"no-such-vm\"");
            }
            vm.assertUntouched();
        }
    }

    @Test
    void shouldRefuseWhenAnotherClientHasTheQmpSocket() throws Exception {
        try (TestQemu vm = TestQemu.start(directory, "busy")) {
            String message = "The QMP socket " + vm.qmp
                    + " accepts no further client (no greeting within 2000 ms): another one is connected."
                    + " Disconnect it, or start QEMU with a second socket for Lockstep, e.g."
                    + " `-qmp unix:/run/NAME-lockstep.qmp,server=on,wait=off`.";
            try (QmpConnection other = QmpConnection.open(vm.qmp, CONNECT_NS)) {
                assertThat(other.version()).isNotNull();
                Ran ran = host.run("protect", "busy", "--json");
                assertJsonError(ran, "qmp-busy", message);
                assertThat(ran.err()).isEqualTo("lockstep protect: " + message + "\n");
            }
            vm.assertUntouched();
            assertThat(host.left()).isEmpty();
        }
    }

    @Test
    void shouldRefuseWhenTheDeviceStateIsTooSmallToHoldTheVm() throws Exception {
        List<String> command = List.of(
                "qemu-system-x86_64",
                "-name",
                "tiny",
                "-machine",
                "microvm",
                "-m",
                "64M",
                "-nodefaults",
                "-display",
                "none");
        try (TestQemu vm = TestQemu.start(directory, "tiny", command)) {
            Ran ran = host.run("protect", "tiny", "--json");
            assertThat(ran.err())
                    .matches(
                            "lockstep protect: the VM's device state is [34]\\d{3} bytes < 8192, too few for QEMU to be held"
                                    + " while it writes them. Use machine type q35 or pc, or give the VM more devices.\n");
            assertThat(ran.out()).startsWith("{\"error\":{\"code\":\"device-state-too-small\"");
            assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
            vm.assertUntouched();
            assertThat(host.left()).isEmpty();
            assertThat(peer.left()).isEmpty();
        }
    }

    @Test
    void shouldRefuseWhenQemuIsOlderThanTheOldestThatIsProtected() throws Exception {
        Path program = directory.resolve("qemu-system-x86_64");
        Files.copy(Path.of("/usr/bin/perl").toRealPath(), program);
        Path script = Files.writeString(directory.resolve("old.pl"), """
                use strict; use IO::Socket::UNIX; $| = 1;
                my ($path) = map { /^unix:([^,]+)/ ? $1 : () } @ARGV;
                my $server = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die $!;
                while (my $client = $server->accept()) {
                  $client->autoflush(1);
                  print $client '{"QMP": {"version": {"qemu": {"micro": 9, "minor": 1, "major": 7}, "package": ""}, "capabilities": []}}'."\\r\\n";
                  while (<$client>) { my $id = /"id": ?(\\d+)/ ? $1 : 0; print $client "{\\"return\\": {}, \\"id\\": $id}\\r\\n"; }
                }
                """);
        List<String> command = List.of(program.toString(), script.toString(), "-name", "old");
        try (TestQemu vm = TestQemu.start(directory, "old", command)) {
            Ran ran = host.run("protect", "old", "--json");
            String message =
                    "QEMU 7.1.9 < 7.2.0, the oldest that Lockstep protects. Upgrade QEMU and start the VM anew.";
            assertJsonError(ran, "qemu-too-old", message);
            assertThat(ran.err()).isEqualTo("lockstep protect: " + message + "\n");
            assertThat(vm.process.isAlive()).isTrue();
            assertThat(host.left()).isEmpty();
        }
    }

    @Test
    void shouldRefuseWhenQemuSaysThatItsStateCannotBeSaved() throws Exception {
        try (TestQemu vm = TestQemu.start(
                directory,
                "blocked",
                "-object",
                "memory-backend-ram,id=shared,size=1M,share=on",
                "-device",
                "ivshmem-plain,memdev=shared")) {
            String reason;
            try (QmpConnection qmp = QmpConnection.open(vm.qmp, CONNECT_NS)) {
                reason = qmp.execute("query-migrate")
                        .path("blocked-reasons")
                        .path(0)
                        .asText();
            }
            assertThat(reason).contains("ivshmem");
            assertRefused(
                    vm,
                    "migration-blocked",
                    "QEMU says that this VM cannot be saved: " + reason
                            + ". Start it without the device or option that is named.");
        }
    }

    /** Late in the attempt, when most of what protection takes of this host is taken. */
    @ParameterizedTest
    @CsvSource({"late.disks,attach-failed", "late.disks/lockstep-disk-1.sock/in-the-way,nbd-socket"})
    void shouldGiveBackWhatItTookWhenProtectionCannotBegin(String place, String code) throws Exception {
        Path inTheWay = host.memory.resolve("ledgers").resolve(place);
        Files.createDirectories(inTheWay.getParent());
        Files.createFile(inTheWay);
        List<String> drives = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Path disk = directory.resolve("late-" + i + ".raw");
            Files.write(disk, new byte[1 << 20]);
            drives.addAll(List.of("-drive", "if=none,id=disk" + i + ",format=raw,file=" + disk));
            drives.addAll(List.of("-device", "virtio-blk-pci,drive=disk" + i));
        }
        try (TestQemu vm = TestQemu.start(directory, "late", drives.toArray(String[]::new))) {
            Ran ran = host.run("protect", "late", "--json");
            assertThat(ran.out()).startsWith("{\"error\":{\"code\":\"" + code + "\"");
            assertThat(ran.err())
                    .contains(host.memory.resolve("ledgers/late.disks").toString());
            assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
            vm.assertUntouched();
            assertThat(TestHost.within(() -> ownThreads().isEmpty()))
                    .as("threads left: %s", ownThreads())
                    .isTrue();
        } finally {
            for (Path each = inTheWay; !each.equals(host.memory.resolve("ledgers")); each = each.getParent()) {
                Files.delete(each);
            }
        }
        assertThat(host.left()).isEmpty();
    }

    private static List<String> ownThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .map(Thread::getName)
                .filter(name -> name.endsWith("-late") || name.startsWith("nbd-"))
                .toList();
    }

    @Test
    void shouldRefuseWhenTheVmHasAnNvmeDevice() throws Exception {
        try (TestQemu vm = TestQemu.start(
                directory,
                "nvme",
                "-drive",
                "driver=null-co,if=none,id=disk,size=1M",
                "-device",
                "nvme,serial=1,drive=disk")) {
            assertRefused(
                    vm,
                    "device-nvme",
                    "The VM has an NVMe device (nvme), and QEMU crashes when its state is saved."
                            + " Use virtio-blk or virtio-scsi instead.");
        }
    }

    @Test
    void shouldRefuseWhenTheTrackerThatIsAskedForIsNotThere() throws Exception {
        try (TestQemu vm = TestQemu.start(directory, "untracked")) {
            TrackerProbe softDirty = TrackerFactory.probe(vm.process.pid(), List.of()).stream()
                    .filter(probe -> probe.name().equals("soft-dirty"))
                    .findFirst()
                    .orElseThrow();
            Assumptions.assumeFalse(softDirty.available(), "this kernel has soft-dirty bits");
            String message = "no way to track the memory of pid " + vm.pid() + ". soft-dirty: " + softDirty.reason()
                    + ". `lockstep doctor` names the cures.";
            assertRefused(vm, "no-tracker", message, "--tracker", "soft-dirty");
            assertRefused(vm, "no-tracker", message, "--tracker", "soft-dirty", "--dry-run");
        }
    }

    @Test
    void shouldRefuseWhenTheTrackerOrThePeerIsUnknown() throws Exception {
        try (TestQemu vm = TestQemu.start(directory, "options")) {
            assertRefused(
                    vm,
                    "no-tracker",
                    "tracker magic is none of userfaultfd-wp, soft-dirty, content-hash. `lockstep doctor` names the"
                            + " cures.",
                    "--tracker",
                    "magic");
            assertRefused(
                    vm,
                    "peer-unknown",
                    "there is no peer c in " + host.paths.configuration()
                            + "; it has [b]. Add [peers.c] with address and fingerprint.",
                    "--peer",
                    "c");
        }
    }
}
