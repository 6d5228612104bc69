package io.lockstep.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.cli.TestHost.Ran;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkTimeouts;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;

/**
 * Protects a VM with two taps, one of which uses vhost, and says what the command line answers before, meanwhile and afterwards. Runs in the host
 * guest, whose kernel has vhost and whose one processor is slow.
 */
final class VhostStatusGuestMain {
    static final List<String> HOSTS = List.of("a", "b");

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long CONNECT_NS = 30_000_000_000L;
    private static final int WAIT_S = 120;

    /** Times for agents that wait for the processor: no session ends, and no pause is let go. Little memory to fill and few threads, too. */
    private static final String PATIENCE = """
            [epoch]
            maxEpochMs = 1000
            pauseMsMax = 10000
            [pipeline]
            ringSlots = 2048
            pageCacheBytes = 16777216
            encoderThreads = 1
            [journal]
            bytesMax = 134217728
            segmentBytes = 16777216
            [link]
            failureTimeoutMs = 60000
            """;

    /** Its firmware waits for the network in a loop, and would take half of the processor from the agents. */
    private static final List<String> QEMU = List.of(
            "nice",
            "qemu-system-x86_64",
            "-name",
            "vm1",
            "-machine",
            "q35",
            "-m",
            "64M",
            "-nodefaults",
            "-display",
            "none");

    private VhostStatusGuestMain() {}

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        try (TestHost host = new TestHost(directory, HOSTS.get(0)).with(PATIENCE);
                TestHost peer = new TestHost(directory, HOSTS.get(1))
                        .with(PATIENCE)
                        .peer("a", host)
                        .start();
                // The first boots from the network by itself, which makes vhost work; the second is sent through by
                // nobody.
                TestQemu vm = TestQemu.start(
                        directory,
                        "vm1",
                        QEMU,
                        "-S",
                        "-qmp",
                        "unix:@DIR@/test.qmp,server=on,wait=off",
                        "-netdev",
                        "tap,id=fast,script=no,downscript=no,vhost=on",
                        "-device",
                        "virtio-net-pci,netdev=fast,id=nic0",
                        "-netdev",
                        "tap,id=slow,script=no,downscript=no,vhost=off",
                        "-device",
                        "e1000,netdev=slow,id=nic1,romfile=");
                QmpConnection monitor = QmpConnection.open(directory.resolve("test.qmp"), CONNECT_NS)) {
            host.peer("b", peer).start();
            up("tap0");
            up("tap1");
            say("protect", host.run("protect", vm.name));
            say("filters", filters(monitor));
            // The first handshake of a JVM takes longer here than an agent waits.
            await("a handshake", () -> answers(host, peer));
            monitor.execute("cont");
            await("vhost at work", () -> monitor.execute(
                            "x-query-virtio-status", Map.of("path", "/machine/peripheral/nic0/virtio-backend"))
                    .path("vhost-started")
                    .asBoolean());

            say("protect", host.run("protect", vm.name, "--allow-unheld-output"));
            sayStatus(host);
            say("filters", filters(monitor));
            monitor.execute("announce-self", Map.of("initial", 50, "max", 50, "rounds", 1, "step", 10));
            await("a frame that was held", () -> sent("tap1") > 0);
            say(
                    "announced",
                    "held " + output(host).path("frames") + ", sent by slow " + sent("tap1") + ", sent by fast "
                            + (sent("tap0") > 0));
            sayStatus(host);
            await("a standby", () -> peer.run("status").out().contains("standby:ready"));
            say("peer", "ready");
            say("verify", host.run("verify", vm.name));

            say("unprotect", host.run("unprotect", vm.name));
            say("status", host.run("status"));
            say("filters", filters(monitor));
        }
    }

    /** A tap that QEMU has made, the first for its first netdev. */
    private static void up(String tap) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder("ip", "link", "set", tap, "up").inheritIO().start();
        if (process.waitFor() != 0) {
            throw new IOException(tap + " cannot be set up");
        }
    }

    /** Frames that a tap got from the VM. */
    private static int sent(String tap) throws IOException {
        return Integer.parseInt(Files.readString(Path.of("/sys/class/net", tap, "statistics/rx_packets"))
                .strip());
    }

    private static boolean answers(TestHost host, TestHost peer) {
        try {
            new LinkDialer(Identity.openOrCreate(host.paths.identity()), LinkTimeouts.DEFAULT)
                    .dial(new InetSocketAddress(InetAddress.getLoopbackAddress(), peer.port), peer.fingerprint)
                    .close();
            return true;
        } catch (LockstepException e) {
            return false;
        }
    }

    private static void await(String what, Callable<Boolean> condition) {
        Awaitility.await(what)
                .atMost(WAIT_S, TimeUnit.SECONDS)
                .pollInterval(200, TimeUnit.MILLISECONDS)
                .until(condition);
    }

    private static Set<String> filters(QmpConnection qmp) throws LockstepException {
        Set<String> found = new TreeSet<>();
        for (JsonNode object : qmp.execute("qom-list", Map.of("path", "/objects"))) {
            if (object.path("type").asText().startsWith("child<filter-")) {
                String name = object.path("name").asText();
                String netdev = qmp.execute("qom-get", Map.of("path", "/objects/" + name, "property", "netdev"))
                        .asText();
                found.add(name + " on " + netdev);
            }
        }
        return found;
    }

    private static JsonNode output(TestHost host) throws IOException {
        return JSON.readTree(host.run("status", "vm1", "--json").out())
                .path("protections")
                .path(0)
                .path("output");
    }

    /** What of the status is about held output, but for the figures. */
    private static void sayStatus(TestHost host) throws IOException {
        JsonNode output = output(host);
        say(
                "json",
                output.path("protection").asText() + ", holding " + output.path("holding") + ", unheld "
                        + output.path("unheld"));
        host.run("status", "vm1")
                .out()
                .lines()
                .filter(line -> line.contains("held"))
                .forEach(line -> say("text", line.strip().replaceFirst(" waiting .*", "")));
    }

    /** The exit status and the answer, with N for figures that differ from run to run. */
    private static void say(String what, Ran ran) {
        String answer = ran.exit() == ExitCode.OK ? ran.out() : ran.err();
        say(
                what,
                ran.exit() + " "
                        + answer.strip()
                                .replaceAll("(copy in|epoch|paused for) [^,]+", "$1 N")
                                .replaceAll("[0-9]+ pages", "N pages"));
    }

    private static void say(String what, Object value) {
        System.out.println("vhost: " + what + ": " + value);
    }
}
