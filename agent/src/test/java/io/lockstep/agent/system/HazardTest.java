package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What guests and operators do to a VM while it is protected. */
@Tag("system")
class HazardTest {
    private static final long QMP_NS = 5_000_000_000L;
    private static final String SHORT_EPOCHS = "[epoch]\nepochMs = 10";
    private static final int DISK_BYTES = 32 << 20;

    @Test
    @Timeout(180)
    void shouldDifferNowhereWhenTheGuestReadsADiskPastTheCache() throws Exception {
        try (TwoHosts hosts = new TwoHosts(SHORT_EPOCHS)) {
            Path disk = hosts.directory().resolve("disk.raw");
            byte[] content = new byte[DISK_BYTES];
            new Random(7).nextBytes(content);
            Files.write(disk, content);
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "read=/dev/vda",
                    "-drive",
                    // More would be an overload, in which there are few epochs.
                    "if=none,id=disk,format=raw,cache=none,throttling.bps-total=134217728,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            long reads = diskReads(vm.testQmp());
            for (int i = 0; i < 5; i++) {
                hosts.a().awaitEpochs("vm1", 100);
                hosts.a().verify("vm1");
            }
            assertThat(diskReads(vm.testQmp())).isGreaterThan(reads + 500);
            assertThat(hosts.a().protection("vm1").scrub().mismatches()).isZero();
            vm.kill();
            Promotion there = hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();
            long readsThere = diskReads(Path.of(there.qmpPath()));
            Waits.until("reads on the peer", 20, () -> diskReads(Path.of(there.qmpPath())) > readsThere + 100);
        }
    }

    /** Requests that the disk has served since QEMU's start. */
    private static long diskReads(Path socket) throws Exception {
        try (QmpConnection monitor = QmpConnection.open(socket, QMP_NS)) {
            return monitor.execute("query-blockstats")
                    .path(0)
                    .path("stats")
                    .path("rd_operations")
                    .asLong();
        }
    }

    @Test
    @Timeout(180)
    void shouldDifferNowhereWhenTheBalloonInflatesAndDeflates() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "churn=4",
                    "-machine",
                    "q35,memory-backend=mem0",
                    "-object",
                    "memory-backend-memfd,id=mem0,size=256M,share=on",
                    "-device",
                    "virtio-balloon-pci,free-page-reporting=on"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            try (QmpConnection monitor = vm.monitor()) {
                for (int i = 0; i < 3; i++) {
                    balloon(monitor, 144L << 20);
                    hosts.a().verify("vm1");
                    hosts.a().awaitEpochs("vm1", 10);
                    balloon(monitor, 256L << 20);
                    hosts.a().verify("vm1");
                    vm.chain().awaitSweep();
                }
                balloon(monitor, 144L << 20);
            }
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");
            assertThat(hosts.a().protection("vm1").scrub().mismatches()).isZero();
            vm.kill();
            Promotion there = hosts.b().awaitPromotion("vm1");
            vm.chain().awaitSweep();
            try (QmpConnection monitor = QmpConnection.open(Path.of(there.qmpPath()), QMP_NS)) {
                balloon(monitor, 256L << 20);
            }
            vm.chain().awaitSweep();
        }
    }

    private static void balloon(QmpConnection monitor, long bytes) throws Exception {
        monitor.execute("balloon", Map.of("value", bytes));
        Waits.until(
                "a balloon that leaves " + bytes,
                60,
                () -> monitor.execute("query-balloon").path("actual").asLong() == bytes);
    }

    @Test
    @Timeout(90)
    void shouldProtectOnWhenTheVmIsReset() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            try (QmpConnection monitor = vm.monitor()) {
                for (int i = 0; i < 2; i++) {
                    vm.chain().reset(monitor);
                    hosts.a().awaitEpochs("vm1", 5);
                    hosts.a().verify("vm1");
                    vm.chain().awaitSweep();
                }
            }
            assertThat(hosts.a().protection("vm1").fullCopies()).isEqualTo(1);
            vm.kill();
            assertThat(hosts.b().awaitPromotion("vm1").reason()).isEqualTo("vm-died");
            vm.chain().awaitSweep();
        }
    }

    /** Ways in which a VM is ended by somebody's will. */
    enum End {
        GUEST("guest-shutdown"),
        QUIT("host-qmp-quit"),
        SIGNAL("host-signal");

        private final String reason;

        End(String reason) {
            this.reason = reason;
        }

        void bring(SystemVm vm, QmpConnection monitor) throws Exception {
            monitor.execute("cont");
            switch (this) {
                case GUEST -> {} // It does so by itself at tick 300.
                // QEMU may close the monitor before its answer has gone out.
                case QUIT -> monitor.send(monitor.prepare("quit", monitor.arguments()));
                case SIGNAL -> vm.process().destroy();
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    @Timeout(60)
    void shouldNeverPromoteWhenTheVmIsEndedAtWill(End end) throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1", "-append", SystemVm.CHAIN + " poweroff=300"));
            try (QmpConnection monitor = vm.monitor()) {
                // Its ticks stand still until it is protected.
                monitor.execute("stop");
                hosts.a().protectWithStandby(vm.pid(), hosts.b());
                ReplicaView replica = hosts.b().replica("vm1").orElseThrow();
                end.bring(vm, monitor);
                Waits.until(
                        "the end of protection",
                        30,
                        () -> hosts.a().protection("vm1").state().name().equals("released"));
                assertThat(hosts.a().protection("vm1").state().reason())
                        .isEqualTo("the VM ended: shutdown, reason " + end.reason);
                Waits.until("the end of the replica", 10, () -> hosts.b()
                        .replica("vm1")
                        .isEmpty());
                Waits.until("the end of the standby", 10, () -> !ProcessHandle.of(replica.standbyPid())
                        .map(ProcessHandle::isAlive)
                        .orElse(false));
            }
            vm.chain().check();
        }
    }

    @Test
    @Timeout(90)
    void shouldFailAndLeaveTheVmAloneWhenADeviceIsPlugged() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1", "-device", "pcie-root-port,id=port1,chassis=1"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");
            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("device_add", Map.of("driver", "virtio-rng-pci", "id", "rng1", "bus", "port1"));
                Waits.until(
                        "the end of protection",
                        30,
                        () -> hosts.a().protection("vm1").state().name().equals("failed"));
                ProtectionStatus failed = hosts.a().protection("vm1");
                assertThat(failed.lastError().code()).isEqualTo("vm-changed");
                assertThat(failed.state().reason())
                        .isEqualTo("the VM's devices changed: plugged [/machine/peripheral/rng1], unplugged []."
                                + " The standby cannot take its state any more; protect it again, with a standby command"
                                + " line that has these devices.");
                Waits.until("QEMU without a trace of ours", 5, () -> ofOurs(vm).isEmpty());
                assertThat(monitor.execute("query-fdsets")).isEmpty();
                assertThat(monitor.execute("query-status").path("status").asText())
                        .isEqualTo("running");
            }
            Waits.until(
                    "a released replica",
                    10,
                    () -> hosts.b().replica("vm1").orElseThrow().state().name().equals("released"));
            vm.chain().awaitSweep();

            assertThatThrownBy(() -> hosts.a().protect(vm.pid()))
                    .isInstanceOfSatisfying(
                            LockstepException.class, e -> assertThat(e.code()).isEqualTo("standby-devices-differ"))
                    .hasMessage("standby devices != primary devices: the standby lacks [virtio-rng-pci rng1] and has"
                            + " besides []. What was plugged or unplugged since the primary's start is not in its command"
                            + " line: give one in the peer's configuration, vms.NAME.standbyCommand, or start the VM"
                            + " anew.");
            assertThat(ofOurs(vm)).isEmpty();
            vm.chain().awaitSweep();
        }
    }

    /** What only protection brings into QEMU: a tracer, watched memory, descriptors. */
    private static List<String> ofOurs(SystemVm vm) throws Exception {
        Traces traces = Traces.of(vm.pid());
        List<String> found = new ArrayList<>();
        if (!traces.tracer().equals("0")) {
            found.add("tracer " + traces.tracer());
        }
        traces.watched().forEach(mapping -> found.add(mapping.toString()));
        traces.descriptors().stream()
                .filter(d -> d.contains("userfaultfd") || d.startsWith("pipe:"))
                .forEach(found::add);
        return found;
    }

    @Test
    @Timeout(120)
    void shouldStayPausedWhenTheOperatorPausedTheVm() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro("vm1"));
            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("stop");
                hosts.a().protectWithStandby(vm.pid(), hosts.b());
                hosts.a().awaitEpochs("vm1", 3);
                hosts.a().verify("vm1");
                assertThat(status(monitor)).isEqualTo("paused");
                monitor.execute("cont");
                vm.chain().awaitSweep();
                hosts.a().verify("vm1");
                monitor.execute("stop");
                hosts.a().awaitEpochs("vm1", 3);
                hosts.a().verify("vm1");
                assertThat(status(monitor)).isEqualTo("paused");
            }
            int last = vm.chain().last();
            vm.kill();
            Promotion there = hosts.b().awaitPromotion("vm1");
            try (QmpConnection monitor = QmpConnection.open(Path.of(there.qmpPath()), QMP_NS)) {
                assertThat(status(monitor)).isEqualTo("paused");
                assertThat(vm.chain().last()).isEqualTo(last);
                monitor.execute("cont");
                vm.chain().awaitSweep();
            }
            moveBackPaused(hosts, vm, there);
        }
    }

    private static void moveBackPaused(TwoHosts hosts, SystemVm vm, Promotion there) throws Exception {
        try (QmpConnection monitor = QmpConnection.open(Path.of(there.qmpPath()), QMP_NS)) {
            monitor.execute("stop");
        }
        hosts.b().protectWithStandby(there.pid(), hosts.a());
        hosts.b().switchover("vm1");
        Promotion home = hosts.a().awaitPromotion("vm1");
        int last = vm.chain().last();
        try (QmpConnection monitor = QmpConnection.open(Path.of(home.qmpPath()), QMP_NS)) {
            assertThat(status(monitor)).isEqualTo("paused");
            assertThat(vm.chain().last()).isEqualTo(last);
            monitor.execute("cont");
        }
        vm.chain().awaitSweep();
    }

    private static String status(QmpConnection monitor) throws Exception {
        return monitor.execute("query-status").path("status").asText();
    }
}
