package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.cli.TestHost.Ran;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.link.TestHello;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Peers that cannot or must not hold a replica: {@code protect} says why and gives up, and nothing is left on either side. */
@Tag("system")
@Timeout(120)
class PeerRefusalTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String NOBODYS = "sha256:" + "0".repeat(64);

    @TempDir
    static Path directory;

    private static TestHost host;
    private static TestHost peer;

    @BeforeAll
    static void start() throws Exception {
        host = new TestHost(directory, "a");
        peer = new TestHost(directory, "b").peer("a", host);
        peer.with("[vms.other-machine]\nstandbyReplacements = [\"q35\", \"pc\"]");
        peer.with(
                "[vms.other-memory]\nstandbyCommand = [\"qemu-system-x86_64\", \"-machine\", \"q35\", \"-m\", \"96M\","
                        + " \"-nodefaults\", \"-display\", \"none\", \"-incoming\", \"defer\", \"-S\", \"-qmp\","
                        + " \"unix:@qmp@,server=on,wait=off\"]");
        peer.start();
    }

    @AfterAll
    static void stop() {
        peer.close();
    }

    /** Protects towards a peer of its own configuration; both forms of the refusal are the same, and nothing is left. */
    private static Ran refused(TestHost from, TestHost to, String vmName) throws Exception {
        try (TestQemu vm = TestQemu.start(directory, vmName)) {
            Ran ran = from.run("protect", vmName, "--json");
            assertThat(ran.exit()).as(ran.toString()).isEqualTo(ExitCode.REFUSED);
            vm.assertUntouched();
            assertThat(from.left()).isEmpty();
            assertThat(from.run("status").out())
                    .isEqualTo("Nothing is replicated to or from this host. 'lockstep vms' lists its VMs.\n");
            assertThat(TestHost.within(() -> to.left().isEmpty()))
                    .as(to.left().toString())
                    .isTrue();
            assertThat(to.run("vms").out()).doesNotContain("replica");
            return ran;
        }
    }

    private static void assertError(Ran ran, String code, String message) throws Exception {
        JsonNode error = JSON.readTree(ran.out()).path("error");
        assertThat(error.path("message").asText()).isEqualTo(message);
        assertThat(error.path("code").asText()).isEqualTo(code);
        assertThat(ran.err()).endsWith("lockstep protect: " + message + "\n");
    }

    @Test
    void shouldGiveUpWhenNobodyListensAtThePeersAddress() throws Exception {
        int port;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = probe.getLocalPort();
        }
        try (TestHost lonely =
                new TestHost(directory, "lonely").peer("gone", port, NOBODYS).start()) {
            assertError(
                    refused(lonely, peer, "unreachable"),
                    "peer-unreachable",
                    "peer 127.0.0.1:" + port + " cannot be reached: Connection refused. See that lockstep runs there,"
                            + " that it listens on this port, and that no firewall is between.");
        }
    }

    @Test
    void shouldGiveUpWhenThePeerAnswersWithAnotherCertificate() throws Exception {
        try (TestHost mistaken = new TestHost(directory, "mistaken")
                .peer("b", peer.port, NOBODYS)
                .start()) {
            assertError(
                    refused(mistaken, peer, "wrong-certificate"),
                    "peer-identity",
                    "peer 127.0.0.1:" + peer.port + " has certificate " + peer.fingerprint + ", allowed: " + NOBODYS
                            + ". If this is the right host, put what 'lockstep identity' prints there into this host's"
                            + " configuration; if not, somebody else answers at its address.");
        }
    }

    @Test
    void shouldGiveUpWhenThePeerDoesNotKnowThisHost() throws Exception {
        try (TestHost stranger =
                new TestHost(directory, "stranger").peer("b", peer).start()) {
            Ran ran = refused(stranger, peer, "unknown-certificate");
            JsonNode error = JSON.readTree(ran.out()).path("error");
            assertThat(error.path("code").asText()).isEqualTo("peer-refused-identity");
            assertThat(error.path("message").asText())
                    .startsWith("peer 127.0.0.1:" + peer.port + " refused this host's certificate "
                            + stranger.fingerprint + ": Received fatal alert: ")
                    .endsWith(". Add this fingerprint to the peer's configuration.");
        }
    }

    @Test
    void shouldGiveUpWhenThePeerIsTheSameMachine() throws Exception {
        TestHost earnest = new TestHost(directory, "earnest").inEarnest();
        try (TestHost alone =
                new TestHost(directory, "alone").peer("earnest", earnest).inEarnest()) {
            earnest.peer("alone", alone).start();
            alone.start();
            assertError(
                    refused(alone, earnest, "same-machine"),
                    "peer-same-host",
                    "The peer's boot-id == the primary's: a replica on the machine of its VM dies with it. This is one and the same"
                            + " running machine. To try lockstep on one machine, start both agents with"
                            + " --same-host-for-testing.");
        } finally {
            earnest.close();
        }
    }

    @Test
    void shouldGiveUpWhenThePeerSpeaksANewerProtocol() throws Exception {
        Identity identity = Identity.openOrCreate(directory.resolve("newer"));
        TestHost modest = new TestHost(directory, "modest");
        try (LinkListener listener = new LinkListener(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                        identity,
                        () -> Set.of(modest.fingerprint),
                        LinkTimeouts.DEFAULT,
                        PeerRefusalTest::answerAsNewer);
                modest) {
            modest.peer("newer", listener.address().getPort(), identity.fingerprint())
                    .start();
            int next = ProtocolVersion.PROTOCOL_VERSION + 1;
            assertError(
                    refused(modest, peer, "newer-protocol"),
                    "protocol-too-new",
                    "peer's protocol version " + next + " > " + ProtocolVersion.PROTOCOL_VERSION
                            + ". Upgrade lockstep on this host.");
        }
    }

    @Test
    void shouldTellAPrimaryThatSpeaksANewerProtocol() throws Exception {
        int next = ProtocolVersion.PROTOCOL_VERSION + 1;
        AtomicReference<SessionReply> said = new AtomicReference<>();
        try (FrameChannel channel = new LinkDialer(Identity.openOrCreate(host.paths.identity()), LinkTimeouts.DEFAULT)
                .dial(new InetSocketAddress(InetAddress.getLoopbackAddress(), peer.port), peer.fingerprint)) {
            HelloCodec.send(channel, TestHello.micro(next));
            assertThat(channel.receive((b, o, n) -> said.set(HelloCodec.decodeReply(b, o, n)), 10_000))
                    .isTrue();
        }
        SessionReply reply = said.get();
        assertThat(reply.status()).isEqualTo(HelloStatus.REFUSED);
        assertThat(reply.code()).isEqualTo(ProtocolVersion.TOO_NEW);
        assertThat(reply.protocolVersion()).isEqualTo(ProtocolVersion.PROTOCOL_VERSION);
        assertThat(reply.cause())
                .isEqualTo("peer's protocol version " + next + " > " + ProtocolVersion.PROTOCOL_VERSION
                        + ". Upgrade lockstep on this host.");
    }

    private static void answerAsNewer(FrameChannel channel) {
        Thread thread = new Thread(() -> {
            try (channel) {
                if (channel.receive((buffer, offset, length) -> {}, 10_000)) {
                    HelloCodec.send(
                            channel,
                            new SessionReply(
                                    ProtocolVersion.PROTOCOL_VERSION + 1,
                                    HelloStatus.FULL,
                                    -1,
                                    AckLevel.MEMORY,
                                    0,
                                    0,
                                    "",
                                    ""));
                    channel.receive((buffer, offset, length) -> {}, 10_000);
                }
            } catch (LockstepException e) {
                // The primary has ended the connection, as it should.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    @Test
    void shouldGiveUpWhenTheStandbysMemoryOrMachineDiffers() throws Exception {
        try (TestHost primary = host.peer("b", peer).start()) {
            assertError(
                    refused(primary, peer, "other-memory"),
                    "standby-ram-differs",
                    "standby RAM 100663296 != primary RAM 67108864. Correct the override of the standby's command line.");
            assertError(
                    refused(primary, peer, "other-machine"),
                    "standby-machine-differs",
                    "standby machine pc-i440fx-7.2 != primary machine pc-q35-7.2. Correct the override of the standby's"
                            + " command line.");
        }
    }

    @Test
    void shouldGiveUpWhenNoStandbyStartsOnThePeer() throws Exception {
        TestHost primary = new TestHost(directory, "to-broken");
        TestHost broken = new TestHost(directory, "broken").peer("a", primary);
        broken.with("[vms.larger]\nstandbyReplacements = [\"64M\", \"128M\"]");
        broken.with("[vms.no-qemu]\nstandbyReplacements = [\"qemu-system-x86_64\", \"/nonexistent/qemu\"]");
        try (primary;
                broken) {
            broken.start();
            primary.peer("broken", broken).start();
            for (String vm : List.of("larger", "no-qemu")) {
                Ran ran = refused(primary, broken, vm);
                JsonNode error = JSON.readTree(ran.out()).path("error");
                assertThat(error.path("code").asText()).isEqualTo("standby-start-failed");
                assertThat(error.path("message").asText())
                        .contains(
                                vm.equals("larger")
                                        ? "does not match the size of the memory backend"
                                        : "/nonexistent/qemu")
                        .startsWith("The standby QEMU ended at its start: ")
                        .endsWith(". Its log is " + broken.paths.run() + "/standby/" + vm
                                + "/standby.log; see the command line with `lockstep protect --dry-run`.");
            }
        }
    }

    @Test
    void shouldGiveUpWhenThePeersDiskIsTooSmallForTheJournal() throws Exception {
        TestHost primary = new TestHost(directory, "to-full");
        try (TestHost full = new TestHost(directory, "full")
                        .peer("a", primary)
                        .with("[journal]\nbytesMax = " + (1L << 50))
                        .start();
                primary) {
            primary.peer("full", full).start();
            Ran ran = refused(primary, full, "disk-full");
            JsonNode error = JSON.readTree(ran.out()).path("error");
            assertThat(error.path("code").asText()).isEqualTo("peer-disk-too-small");
            assertThat(error.path("message").asText())
                    .matches("Free space in " + full.paths.state() + "/replicas/disk-full \\d+ < " + (1L << 50)
                            + " bytes of journal.bytesMax. Free space there, or lower journal.bytesMax on the peer\\.");
        }
    }

    @Test
    void shouldGiveUpWhenThePeersMemoryIsTooSmallForTheReplica() throws Exception {
        Assumptions.assumeTrue(
                Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0), "only root mounts a small tmpfs");
        TestHost primary = new TestHost(directory, "to-small");
        TestHost small = new TestHost(directory, "small").peer("a", primary);
        execute("mount", "-t", "tmpfs", "-o", "size=16m", "lockstep-test", small.memory.toString());
        try (primary;
                small) {
            small.start();
            primary.peer("small", small).start();
            Ran ran = refused(primary, small, "shm-full");
            JsonNode error = JSON.readTree(ran.out()).path("error");
            assertThat(error.path("code").asText()).isEqualTo("peer-shm-too-small");
            assertThat(error.path("message").asText())
                    .matches("Free memory in " + small.memory + "/shm-full 16777216 < \\d+ bytes of the VM's RAM\\."
                            + " Enlarge it \\(mount -o remount,size=\\.\\.\\. " + small.memory
                            + "\\) or set replica\\.directory on the peer\\.");
        } finally {
            execute("umount", "-l", small.memory.toString());
        }
    }

    private static void execute(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(String.join(" ", command)).isZero();
    }
}
