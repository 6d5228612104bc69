package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.system.Wire;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A bridge between two hosts that knows the VM's address on the port of the host that dies, and hears nothing of its death: that port stays up. The
 * guest has no driver for its NIC and sends nothing, nobody sends it anything, and QEMU is not to announce what it loads by itself. The bridge must
 * know all the same where the VM has gone.
 */
@Tag("system")
class BridgeLearningTest {
    /** Without this each QEMU that has loaded a VM announces it, whatever the agent does. */
    private static final List<String> NOTHING_OF_QEMUS_OWN = List.of("-global", "migration.announce-rounds=0");

    private static final Duration LONG = Duration.ofSeconds(60);

    /** Of the switch, where the first host's own bridge is plugged in. */
    private static final String PORT_PRIMARY = "port-a";

    /** A port of the switch at which all is heard that is flooded. */
    private static final String TAP_WATCHER = "tap-w";

    @TempDir
    Path directory;

    private BridgedHosts hosts;
    private Wire wire;

    @Test
    @Timeout(300)
    void shouldTeachTheBridgeByTheAnnouncementAloneWhenNobodySends() throws Exception {
        try (BridgedHosts network = new BridgedHosts(directory, 25)) {
            hosts = network;
            plugTheFirstHostIn();
            Process watcher = watch();
            try {
                failOver();
            } finally {
                watcher.destroyForcibly();
                wire.close();
            }
            network.passed();
        }
    }

    private void failOver() throws Exception {
        long pid = hosts.boot(Guest.MICRO, NOTHING_OF_QEMUS_OWN, "").pid();
        announceOnce();
        Deadline.await("the first host's port in the switch's table", LONG, () -> PORT_PRIMARY.equals(learnedPort()));
        Deadline.await("the announcement at the watcher's port", LONG, () -> announced() == 1);
        wire.forget();
        hosts.primary().protect("pid:" + pid, (phase, done, total) -> {});
        Deadline.await("a standby", LONG, this::standbyReady);
        assertThat(learnedPort()).isEqualTo(PORT_PRIMARY);
        assertThat(framesOfThePeersTap()).isZero();
        assertThat(announced()).isZero();

        ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
        BridgedHosts.promoted("the kill", hosts.peer(), hosts.vm(), pid);
        Deadline.await("the peer's tap in the switch's table", LONG, () -> GuestNetwork.TAP_PEER.equals(learnedPort()));

        // Each frame that has come out of the promoted VM by then was an announcement: nothing else can have taught the
        // switch.
        Deadline.await("announcements, and no other frame", LONG, () -> {
            long frames = framesOfThePeersTap();
            return frames > 0 && announced() == frames;
        });
    }

    /** Between its tap and the switch, a bridge of its own and a cable, as in a rack: the switch's port outlives the VM's QEMU. */
    private void plugTheFirstHostIn() throws Exception {
        for (String command : List.of(
                "ip link add host-a type bridge forward_delay 0 mcast_snooping 0",
                "ip link add up-a type veth peer name " + PORT_PRIMARY,
                "ip link set " + GuestNetwork.TAP_PRIMARY + " master host-a",
                "ip link set up-a master host-a up",
                "ip link set host-a up",
                "ip link set " + PORT_PRIMARY + " master " + GuestNetwork.BRIDGE + " up",
                "ip tuntap add dev " + TAP_WATCHER + " mode tap",
                "ip link set " + TAP_WATCHER + " master " + GuestNetwork.BRIDGE + " up")) {
            hosts.run(command);
        }
    }

    /** A QEMU without a machine makes a datagram of each frame that leaves the switch at the watcher's port. */
    private Process watch() throws Exception {
        FutureTask<Wire> inside = new FutureTask<>(() -> {
            hosts.enter();
            return new Wire();
        });
        Thread thread = new Thread(inside, "wire");
        thread.setDaemon(true);
        thread.start();
        wire = inside.get(30, TimeUnit.SECONDS);
        List<String> command =
                new ArrayList<>(hosts.inside("qemu-system-x86_64 -machine none -nodefaults -display none"));
        command.addAll(List.of("-netdev", "tap,id=tap,ifname=" + TAP_WATCHER + ",script=no,downscript=no,vhost=off"));
        command.addAll(List.of("-netdev", wire.netdev("wire")));
        command.addAll(List.of("-netdev", "hubport,id=in,hubid=0,netdev=tap"));
        command.addAll(List.of("-netdev", "hubport,id=out,hubid=0,netdev=wire"));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(hosts.files().resolve("watcher.log").toFile())
                .start();
    }

    /** Through the VM's own monitor, before anybody else uses it. */
    private void announceOnce() throws Exception {
        Path monitor = hosts.files().resolve(hosts.vm() + ".qmp");
        try (QmpConnection qmp = QmpConnection.open(monitor, LONG.toNanos())) {
            qmp.execute("announce-self", Map.of("initial", 50, "max", 50, "rounds", 1, "step", 10));
        }
    }

    private boolean standbyReady() throws DemoFailure {
        try {
            return hosts.peer().replica(hosts.vm()).standbyReady();
        } catch (Exception e) {
            throw new DemoFailure("the replica's status: " + e.getMessage(), e);
        }
    }

    /** Where the switch sends what is for the guest; empty if it does not know. */
    private String learnedPort() throws DemoFailure {
        for (String entry : run("bridge fdb show br " + GuestNetwork.BRIDGE).split("\n", -1)) {
            String[] words = entry.split(" ", -1);
            if (words[0].equals(GuestNetwork.MAC) && words[1].equals("dev")) {
                return words[2];
            }
        }
        return "";
    }

    /** How many frames QEMU has sent to the peer's tap. */
    private long framesOfThePeersTap() throws DemoFailure {
        return Long.parseLong(run("cat /sys/class/net/" + GuestNetwork.TAP_PEER + "/statistics/rx_packets")
                .trim());
    }

    private int announced() throws DemoFailure {
        try {
            return wire.announced(Long.parseLong(GuestNetwork.MAC.replace(":", ""), 16));
        } catch (IOException e) {
            throw new DemoFailure("the watcher's frames: " + e.getMessage(), e);
        }
    }

    private String run(String command) throws DemoFailure {
        try {
            return hosts.run(command);
        } catch (Exception e) {
            throw new DemoFailure(command + ": " + e.getMessage(), e);
        }
    }
}
