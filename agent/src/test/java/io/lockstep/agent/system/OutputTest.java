package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.agent.view.OutputView;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What becomes of the network of real VMs with several NICs: the guest sends nothing by itself, so that every frame here is known. */
@Tag("system")
@Timeout(180)
class OutputTest {
    private static final long FIRST = 0x525400770001L;
    private static final long SECOND = 0x525400770002L;

    /** At once, and nine times more within two seconds. */
    private static final int ANNOUNCEMENTS = 10;

    @Test
    void shouldAnnounceEveryNicAfterFailoverAndSwitchover() throws Exception {
        try (Wire one = new Wire();
                Wire two = new Wire();
                TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1",
                    // QEMU would announce by itself what it has loaded.
                    "-global",
                    "migration.announce-rounds=0",
                    "-netdev",
                    one.netdev("n0"),
                    "-device",
                    "e1000,netdev=n0,mac=52:54:00:77:00:01",
                    "-netdev",
                    two.netdev("n1"),
                    "-device",
                    "virtio-net-pci,netdev=n1,mac=52:54:00:77:00:02"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 5);
            assertThat(one.announced(FIRST) + two.announced(SECOND)).isZero();

            vm.kill();
            long there = hosts.b().awaitPromotion("vm1").pid();
            awaitAnnounced(one, two);

            hosts.b().protectWithStandby(there, hosts.a());
            hosts.b().awaitEpochs("vm1", 5);
            // Those of the failover have ended: none comes while ten epochs of an idle VM pass.
            Waits.until("the end of the announcements", 30, () -> {
                one.forget();
                two.forget();
                hosts.b().awaitEpochs("vm1", 10);
                return one.announced(FIRST) + two.announced(SECOND) == 0;
            });
            hosts.b().switchover("vm1");
            awaitAnnounced(one, two);
        }
    }

    private static void awaitAnnounced(Wire one, Wire two) {
        Waits.until(
                "announcements of both NICs",
                20,
                () -> one.announced(FIRST) == ANNOUNCEMENTS && two.announced(SECOND) == ANNOUNCEMENTS);
    }

    @Test
    void shouldLeaveNoFilterBehindWhateverEndsTheProtection() throws Exception {
        try (Wire wire = new Wire();
                TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1",
                    "-netdev",
                    wire.netdev("n0"),
                    "-device",
                    "e1000,netdev=n0,mac=52:54:00:77:00:01",
                    "-device",
                    "pcie-root-port,id=port1,chassis=1"));
            try (QmpConnection monitor = vm.monitor()) {
                String before = filters(monitor);
                assertThat(before).doesNotContain("lockstep");

                hosts.a().protect(vm.pid());
                hosts.a().awaitEpochs("vm1", 3);
                assertThat(hosts.a().protection("vm1").output().holding()).isTrue();
                assertThat(filters(monitor)).contains("lockstep-in-0", "lockstep-out-0");
                announce(monitor);
                hosts.a().unprotect("vm1");
                assertThat(filters(monitor)).isEqualTo(before);
                Waits.until("the frame that was held", 10, () -> wire.announced(FIRST) == 1);

                hosts.a().protectWithStandby(vm.pid(), hosts.b());
                monitor.execute("device_add", Map.of("driver", "virtio-rng-pci", "id", "late", "bus", "port1"));
                Waits.until(
                        "the end of the protection by a new device",
                        30,
                        () -> hosts.a().protection("vm1").state().name().equals("failed"));
                Waits.until("a VM without filters", 10, () -> filters(monitor).equals(before));
                announce(monitor);
                Waits.until("a frame of the unprotected VM", 10, () -> wire.announced(FIRST) == 2);
            }
        }
    }

    @Test
    void shouldEndTheProtectionWhenSomebodyRemovesAFilter() throws Exception {
        try (Wire wire = new Wire();
                TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1", "-netdev", wire.netdev("n0"), "-device", "e1000,netdev=n0,mac=52:54:00:77:00:01"));
            hosts.a().protect(vm.pid());
            hosts.a().awaitEpochs("vm1", 3);
            try (QmpConnection monitor = vm.monitor()) {
                monitor.execute("object-del", Map.of("id", "lockstep-out-0"));
                Waits.until(
                        "the end of the protection without its filter",
                        30,
                        () -> hosts.a().protection("vm1").state().name().equals("failed"));
                assertThat(hosts.a().protection("vm1").toString()).contains("lockstep-out-0");
                Waits.until("a VM without filters", 10, () -> !filters(monitor).contains("lockstep"));
                announce(monitor);
                Waits.until("a frame of the unprotected VM", 10, () -> wire.announced(FIRST) == 1);
            }
        }
    }

    /** Without an end of the epoch before its time, the log would hold a sixth of the echoes and drop the rest. */
    @Test
    void shouldEndTheEpochAtOnceAndKeepTheOrderWhenTheLogIsFull() throws Exception {
        try (FrameStream wire = new FrameStream();
                TwoHosts hosts =
                        new TwoHosts("[epoch]\nminEpochMs = 10000\nmaxEpochMs = 10000\n[output]\nlogBytes = 1048576")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    wire.guestOption(),
                    "-netdev",
                    wire.netdev("n0"),
                    "-device",
                    "virtio-net-pci,netdev=n0,mac=52:54:00:77:00:01"));
            Waits.until("the guest's address", 30, wire::known);
            hosts.a().protect(vm.pid());
            hosts.a().awaitEpochs("vm1", 1);
            Waits.until(
                    "output that is held",
                    30,
                    () -> hosts.a().protection("vm1").output().holding());

            int asked = 4_000;
            for (int sequence = 0; sequence < asked; sequence++) {
                wire.ping(FIRST, sequence, 1_400);
            }
            // The guest itself drops some when its queue is full.
            Waits.until("more echoes than the log holds", 30, () -> wire.answers() > asked / 3);

            assertThat(wire.disordered()).isFalse();
        }
    }

    @Test
    void shouldLeaveNoFilterOnEitherHostAfterASwitchover() throws Exception {
        try (Wire wire = new Wire();
                TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1", "-netdev", wire.netdev("n0"), "-device", "e1000,netdev=n0,mac=52:54:00:77:00:01"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            hosts.a().awaitEpochs("vm1", 3);
            hosts.a().switchover("vm1");
            assertThat(vm.process().waitFor(20, TimeUnit.SECONDS)).isTrue();
            String qmp = hosts.b().awaitPromotion("vm1").qmpPath();
            Waits.until("the monitor of the VM, and no filter in it", 20, () -> {
                try (QmpConnection monitor = QmpConnection.open(Path.of(qmp), 1_000_000_000L)) {
                    return !filters(monitor).contains("lockstep");
                }
            });
        }
    }

    @Test
    void shouldSayWhichNetdevIsNotHeldAndHowToCureIt() throws Exception {
        String tap = "lu" + ProcessHandle.current().pid();
        ip("tuntap", "add", "dev", tap, "mode", "tap", "multi_queue");
        try (Wire wire = new Wire();
                TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1",
                    "-netdev",
                    wire.netdev("n0"),
                    "-device",
                    "e1000,netdev=n0",
                    "-netdev",
                    "tap,id=fast,ifname=" + tap + ",script=no,downscript=no,queues=2",
                    "-device",
                    "virtio-net-pci,netdev=fast,mq=on,id=nic1"));
            assertThatThrownBy(() -> hosts.a().protect(vm.pid()))
                    .hasMessageContaining("netdev fast (NIC nic1)")
                    .hasMessageContaining("several queues")
                    .hasMessageContaining("Start the VM without queues= on -netdev fast")
                    .hasMessageContaining("--allow-unheld-output");
            try (QmpConnection monitor = vm.monitor()) {
                assertThat(filters(monitor)).doesNotContain("lockstep");

                hosts.a()
                        .verbs()
                        .protect(new ProtectRequest(pid(vm), null, 0, null, null, true), (phase, done, total) -> {});
                hosts.a().awaitEpochs("vm1", 3);
                for (int look = 0; look < 2; look++) {
                    OutputView output = hosts.a().protection("vm1").output();
                    assertThat(output.protection()).isEqualTo("lockstep");
                    assertThat(output.holding()).isTrue();
                    assertThat(output.unheld()).singleElement().asString().contains("fast", "several queues");
                    hosts.a().awaitEpochs("vm1", 3);
                }
                assertThat(filters(monitor)).contains("lockstep-out-0").doesNotContain("lockstep-out-1");
            }
        } finally {
            ip("link", "del", tap);
        }
    }

    @Test
    void shouldProtectAsTheConfigurationSaysUntilItIsSwitched() throws Exception {
        try (Wire wire = new Wire();
                TwoHosts hosts = new TwoHosts("[vms.vm1]\nprotection = \"async\"\n")) {
            SystemVm vm = hosts.boot(SystemVm.Boot.micro(
                    "vm1", "-netdev", wire.netdev("n0"), "-device", "e1000,netdev=n0,mac=52:54:00:77:00:01"));
            ProtectionStatus status = hosts.a().protect(vm.pid());
            assertThat(status.output().protection()).isEqualTo("async");
            hosts.a().awaitEpochs("vm1", 5);
            assertThat(hosts.a().protection("vm1").output().holding()).isFalse();

            hosts.a().verbs().protection("vm1", "lockstep", (phase, done, total) -> {});
            Waits.until(
                    "held output",
                    10,
                    () -> hosts.a().protection("vm1").output().holding());
            assertThat(hosts.a().protection("vm1").output().protection()).isEqualTo("lockstep");
            try (QmpConnection monitor = vm.monitor()) {
                announce(monitor);
            }
            Waits.until("a frame after its acknowledgement", 10, () -> wire.announced(FIRST) == 1);

            hosts.a().verbs().protection("vm1", "async", (phase, done, total) -> {});
            Waits.until(
                    "output that passes",
                    10,
                    () -> !hosts.a().protection("vm1").output().holding());
            hosts.a().awaitEpochs("vm1", 5);
            assertThat(hosts.a().verify("vm1").pagesDiffering()).isZero();
        }
    }

    private static VmSelector pid(SystemVm vm) {
        return new VmSelector(VmSelector.Kind.PID, Long.toString(vm.pid()));
    }

    private static String filters(QmpConnection qmp) throws Exception {
        StringBuilder found = new StringBuilder();
        for (JsonNode object : qmp.execute("qom-list", Map.of("path", "/objects"))) {
            found.append(object.path("name").asText()).append(' ');
        }
        for (JsonNode chardev : qmp.execute("query-chardev")) {
            found.append(chardev.path("label").asText()).append(' ');
        }
        return found.toString();
    }

    private static void announce(QmpConnection qmp) throws Exception {
        qmp.execute("announce-self", Map.of("initial", 50, "max", 50, "rounds", 1, "step", 10));
    }

    private static void ip(String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as("%s", command).isZero();
    }
}
