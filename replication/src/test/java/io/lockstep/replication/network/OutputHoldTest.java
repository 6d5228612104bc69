package io.lockstep.replication.network;

import static io.lockstep.replication.network.TapNetwork.ip;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.linux.EventCounter;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Filters in a real QEMU. Its announcements are what the guest sends; what comes out is a datagram for each frame. */
@Tag("system")
@Timeout(120)
class OutputHoldTest {
    private static final int LOG_BYTES = 1 << 20;
    private static final int RARP = 0x8035;
    private static final int SIGSTOP = 19;
    private static final int SIGCONT = 18;

    private static List<NetDevice> devices(TestVm vm, QmpConnection qmp) throws Exception {
        return NetDevices.find(qmp, vm.pid(), vm.found().commandLine());
    }

    private static OutputHold hold(List<NetDevice> devices, EventCounter request) {
        return new OutputHold("vm", devices, LOG_BYTES, request, ns -> {});
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

    private static void until(String what, java.util.concurrent.Callable<Boolean> condition) {
        Awaitility.await(what)
                .pollInterval(2, TimeUnit.MILLISECONDS)
                .atMost(10, TimeUnit.SECONDS)
                .until(condition);
    }

    @Test
    void shouldInstallAndRemoveOnEveryKindOfNetdev() throws Exception {
        for (String[] arguments : new String[][] {
            {"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"},
            {"-nic", "user,model=e1000"},
            {"-net", "nic,model=rtl8139", "-net", "user"},
            {
                "-netdev",
                "user,id=n0",
                "-device",
                "e1000,netdev=n0",
                "-netdev",
                "user,id=n1",
                "-device",
                "virtio-net-pci,netdev=n1"
            },
        }) {
            try (TestVm vm = TestVm.start(arguments);
                    QmpConnection qmp = vm.connect();
                    EventCounter request = new EventCounter();
                    OutputHold hold = hold(devices(vm, qmp), request)) {
                String before = filters(qmp);
                hold.install(qmp);
                assertThat(hold.devices()).isNotEmpty();
                for (int i = 0; i < hold.devices().size(); i++) {
                    assertThat(filters(qmp)).contains("lockstep-in-" + i, "lockstep-out-" + i);
                }
                announce(qmp);
                until(
                        "a frame of each NIC",
                        () -> hold.frames() >= hold.devices().size());
                hold.remove(qmp);
                assertThat(filters(qmp)).isEqualTo(before);
                hold.install(qmp);
                hold.remove(qmp);
                assertThat(filters(qmp)).isEqualTo(before);
            }
        }
    }

    @Test
    void shouldReleaseFramesOnlyWhenTheirEpochIsAcknowledged() throws Exception {
        try (Wire wire = new Wire();
                TestVm vm = TestVm.start(wire.arguments());
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter();
                OutputHold hold = hold(devices(vm, qmp), request)) {
            hold.install(qmp);
            announce(qmp);
            until("a frame that passes", () -> wire.type() == RARP);
            hold.boundary();
            hold.cut(6);
            assertThat(hold.exact()).isFalse();
            hold.acknowledged(6, System.nanoTime());
            assertThat(hold.exact()).isTrue();
            assertThat(hold.wantsEpoch()).isFalse();
            long frames = hold.frames();
            announce(qmp);
            until("a frame that waits", hold::wantsEpoch);
            assertThat(hold.frames()).isEqualTo(frames + 1);
            hold.boundary();
            hold.cut(7);
            hold.acknowledged(6, System.nanoTime());
            hold.acknowledged(8, System.nanoTime());
            announce(qmp);
            until("a frame of the next epoch", hold::wantsEpoch);
            assertThat(wire.type()).isZero();
            hold.acknowledged(7, System.nanoTime());
            until("the released frame", () -> wire.type() == RARP);
            assertThat(hold.heldBytes()).isPositive();
            hold.resumed(7);
            assertThat(hold.wantsEpoch()).isTrue();
            assertThat(wire.type()).isZero();
            hold.remove(qmp);
            until("what was held at the end", () -> wire.type() == RARP);
        }
    }

    @Test
    void shouldCountStallsOfItsThread() throws Exception {
        AtomicReference<DutyCycle> held = new AtomicReference<>();
        try (Wire wire = new Wire();
                TestVm vm = TestVm.start(wire.arguments());
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter();
                OutputHold hold = new OutputHold("vm", devices(vm, qmp), LOG_BYTES, request, ns -> holdUp(held))) {
            DutyCycle rounds = hold.rounds();
            assertThat(rounds.stalls()).isZero();
            hold.install(qmp);
            hold.boundary();
            hold.cut(1);
            hold.acknowledged(1, System.nanoTime());
            announce(qmp);
            until("a frame that waits", hold::wantsEpoch);
            hold.boundary();
            hold.cut(2);
            held.set(rounds);
            hold.acknowledged(2, System.nanoTime());
            until("a round that took long", () -> rounds.stalls() > 0);
            until("its rest", () -> rounds.ageNs(Long.MAX_VALUE) == 0);
            hold.remove(qmp);
        }
    }

    /** Makes the calling thread stand still for so long that its cycle must count it; once. */
    private static void holdUp(AtomicReference<DutyCycle> cycle) {
        DutyCycle held = cycle.getAndSet(null);
        if (held != null) {
            until("its age", () -> held.ageNs(System.nanoTime()) > DutyCycle.STALL_NS);
        }
    }

    @Test
    void shouldLetFramesPassWhenWhatADeadAgentLeftIsRemoved() throws Exception {
        try (Wire wire = new Wire();
                TestVm vm = TestVm.start(wire.arguments());
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter()) {
            String before = filters(qmp);
            OutputHold dead = hold(devices(vm, qmp), request);
            dead.install(qmp);
            dead.boundary();
            dead.close();
            announce(qmp);
            assertThat(wire.type()).isZero();
            assertThat(filters(qmp)).isNotEqualTo(before);
            OutputHold.removeLeftovers(qmp);
            assertThat(filters(qmp)).isEqualTo(before);
            announce(qmp);
            until("a frame without an agent", () -> wire.type() == RARP);
            try (OutputHold next = hold(devices(vm, qmp), request)) {
                next.install(qmp);
                announce(qmp);
                until("a frame through the next agent", () -> wire.type() == RARP);
                next.remove(qmp);
            }
        }
    }

    @Test
    void shouldFailWhenSomebodyRemovesTheFilters() throws Exception {
        try (Wire wire = new Wire();
                TestVm vm = TestVm.start(wire.arguments());
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter();
                OutputHold hold = hold(devices(vm, qmp), request)) {
            hold.install(qmp);
            hold.boundary();
            OutputHold.removeLeftovers(qmp);
            until("the failure", () -> {
                try {
                    hold.check();
                    return false;
                } catch (io.lockstep.replication.LockstepException e) {
                    return e.getMessage()
                            .equals(
                                    "QEMU closed the filter on netdev n0: somebody removed it, and vm sends unheld. Protect it again.");
                }
            });
        }
    }

    @Test
    void shouldRefuseAMultiqueueTapAndLeaveNothing() throws Exception {
        String tap = "ls" + ProcessHandle.current().pid();
        ip("tuntap", "add", "dev", tap, "mode", "tap", "multi_queue");
        try (TestVm vm = TestVm.start(
                        "-netdev",
                        "tap,id=n0,ifname=" + tap + ",script=no,downscript=no,queues=2",
                        "-device",
                        "virtio-net-pci,netdev=n0,mq=on,id=nic0");
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter()) {
            List<NetDevice> found = devices(vm, qmp);
            assertThat(found).singleElement().satisfies(d -> assertThat(d.holdable())
                    .isFalse());
            String before = filters(qmp);
            // QEMU itself, had we not known.
            try (OutputHold hold = hold(List.of(new NetDevice("n0", "nic0", "", "")), request)) {
                assertThatThrownBy(() -> hold.install(qmp))
                        .hasMessage(
                                "What the VM sends through netdev n0 (NIC nic0) cannot be held until the peer has it: it has"
                                        + " several queues, which QEMU's filters do not take. Start the VM without queues= on -netdev n0"
                                        + " and without mq=on on its device; or give --allow-unheld-output to protect the VM without"
                                        + " holding this netdev's output.");
            }
            assertThat(filters(qmp)).isEqualTo(before);
        } finally {
            ip("link", "del", tap);
        }
    }

    @Test
    void shouldHoldATap() throws Exception {
        String tap = "lt" + ProcessHandle.current().pid();
        ip("tuntap", "add", "dev", tap, "mode", "tap");
        try (TestVm vm = TestVm.start(
                        "-netdev",
                        "tap,id=n0,ifname=" + tap + ",script=no,downscript=no,vhost=off",
                        "-device",
                        "e1000,netdev=n0");
                QmpConnection qmp = vm.connect();
                EventCounter request = new EventCounter();
                OutputHold hold = hold(devices(vm, qmp), request)) {
            hold.install(qmp);
            hold.boundary();
            announce(qmp);
            until("a frame that waits", hold::wantsEpoch);
            hold.remove(qmp);
            assertThat(filters(qmp)).doesNotContain("lockstep");
        } finally {
            ip("link", "del", tap);
        }
    }

    /** Frames that a tap got: what QEMU, or who takes its place, has written. */
    private static long received(String tap) throws IOException {
        return Long.parseLong(Files.readString(Path.of("/sys/class/net/" + tap + "/statistics/rx_packets"))
                .trim());
    }

    /** With and without a virtio header before each frame, by name, by descriptor, and beside another tap. */
    @ParameterizedTest
    @ValueSource(strings = {"vnet_hdr=on", "vnet_hdr=off"})
    void shouldSendPastAQemuThatStandsStillWhenItsNetdevIsATap(String header) throws Exception {
        String tap = "lt" + ProcessHandle.current().pid();
        String other = "lu" + ProcessHandle.current().pid();
        ip("tuntap", "add", "dev", tap, "mode", "tap");
        ip("tuntap", "add", "dev", other, "mode", "tap");
        try (TestVm vm = TestVm.start(
                        "-netdev",
                        "tap,id=n0,ifname=" + tap + ",script=no,downscript=no,vhost=off," + header,
                        "-device",
                        "e1000,netdev=n0",
                        "-netdev",
                        "tap,id=n1,ifname=" + other + ",script=no,downscript=no,vhost=off," + header,
                        "-device",
                        "e1000,netdev=n1");
                QmpConnection qmp = vm.connect();
                Pidfd process = Pidfd.open(vm.pid());
                EventCounter request = new EventCounter();
                OutputHold hold = hold(devices(vm, qmp), request)) {
            ip("link", "set", tap, "up");
            ip("link", "set", other, "up");
            hold.install(qmp);
            hold.boundary();
            hold.cut(1);
            hold.acknowledged(1, System.nanoTime());
            announce(qmp);
            until("a frame of each that waits", () -> hold.frames() == 2);
            hold.bypass(qmp, process);
            process.sendSignal(SIGSTOP);
            try {
                hold.settle();
                hold.boundary();
                hold.cut(2);
                assertThat(received(tap) + received(other)).isZero();
                hold.acknowledged(2, System.nanoTime());
                hold.awaitLeft();
                until("the frames of a QEMU that stands still", () -> received(tap) == 1 && received(other) == 1);
                assertThat(hold.heldBytes()).isZero();
            } finally {
                process.sendSignal(SIGCONT);
            }
            hold.rejoin();
            hold.pass();
            announce(qmp);
            until("frames through QEMU", () -> received(tap) == 2 && received(other) == 2);
            hold.remove(qmp);
        } finally {
            ip("link", "del", tap);
            ip("link", "del", other);
        }
    }

    @Test
    void shouldKeepTheWayThroughQemuWhenANetdevIsNoTap() throws Exception {
        try (Wire wire = new Wire();
                TestVm vm = TestVm.start(wire.arguments());
                QmpConnection qmp = vm.connect();
                Pidfd process = Pidfd.open(vm.pid());
                EventCounter request = new EventCounter();
                OutputHold hold = hold(devices(vm, qmp), request)) {
            hold.install(qmp);
            hold.boundary();
            hold.cut(1);
            hold.acknowledged(1, System.nanoTime());
            hold.bypass(qmp, process);
            announce(qmp);
            until("a frame that waits", hold::wantsEpoch);
            hold.settle();
            hold.boundary();
            hold.cut(2);
            hold.acknowledged(2, System.nanoTime());
            until("the released frame", () -> wire.type() == RARP);
            hold.rejoin();
            hold.remove(qmp);
        }
    }

    /** The other end of a netdev that makes a datagram of each frame. */
    private static final class Wire implements AutoCloseable {
        private final DatagramChannel channel = DatagramChannel.open();
        private final ByteBuffer frame = ByteBuffer.allocate(65_536);
        private final int qemuPort;

        Wire() throws IOException {
            channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            channel.configureBlocking(false);
            try (DatagramChannel probe = DatagramChannel.open()) {
                probe.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
                qemuPort = ((InetSocketAddress) probe.getLocalAddress()).getPort();
            }
        }

        String[] arguments() throws IOException {
            int port = ((InetSocketAddress) channel.getLocalAddress()).getPort();
            return new String[] {
                "-netdev",
                "socket,id=n0,udp=127.0.0.1:" + port + ",localaddr=127.0.0.1:" + qemuPort,
                "-device",
                "e1000,netdev=n0"
            };
        }

        /** Ethernet type of the next frame that has come; 0 if none has. */
        int type() throws IOException {
            frame.clear();
            return channel.receive(frame) == null ? 0 : frame.getShort(12) & 0xFFFF;
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }
}
