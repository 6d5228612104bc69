package io.lockstep.agent.pairing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.pairing.Meeting.Met;
import io.lockstep.agent.pairing.Pairing.Introduction;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class PairingTest {
    private static final Introduction A = new Introduction("host-a", 7500, "sha256:" + "a".repeat(64));
    private static final Introduction B = new Introduction("host-b", 7600, "sha256:" + "b".repeat(64));

    private final BlockingQueue<String> codes = new LinkedBlockingQueue<>();

    private Introduction[] pair(boolean confirmedByA) throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            FutureTask<Introduction> listening = new FutureTask<>(() -> {
                try (Socket socket = server.accept()) {
                    return Pairing.exchange(
                            socket.getInputStream(),
                            socket.getOutputStream(),
                            false,
                            B,
                            (code, other) -> codes.add(code));
                }
            });
            new Thread(listening, "listening").start();
            Introduction seen;
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort())) {
                seen = Pairing.exchange(
                        socket.getInputStream(),
                        socket.getOutputStream(),
                        true,
                        A,
                        (code, other) -> codes.add(code) && confirmedByA);
            }
            return new Introduction[] {seen, listening.get(10, TimeUnit.SECONDS)};
        }
    }

    @Test
    void shouldIntroduceBothWithOneCode() throws Exception {
        assertThat(pair(true)).containsExactly(B, A);
        assertThat(codes).hasSize(2).allMatch(code -> code.matches("[0-9]{3} [0-9]{3}"));
        assertThat(codes.take()).isEqualTo(codes.take());
    }

    @Test
    void shouldWriteNothingUnlessBothConfirm() {
        assertThatThrownBy(() -> pair(false))
                .isInstanceOf(LockstepException.class)
                .hasMessage(
                        "the codes were not confirmed on this host. Nothing was written; if they differed, somebody stands"
                                + " between the hosts.");
    }

    @Test
    void shouldAppendThePeerAndKeepCommentsModeAndLinks(@TempDir Path root) throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        Path real = Files.createDirectories(root.resolve("etc/lockstep")).resolve("real.toml");
        Files.writeString(real, "# mine\n[epoch]\nepochMs = 30 # slow");
        Files.setPosixFilePermissions(real, PosixFilePermissions.fromString("rw-r-----"));
        Files.createSymbolicLink(paths.configuration(), real);
        new PeerEntry("host-b", "host-b:7600", B.fingerprint()).append(paths);

        assertThat(AgentConfig.load(paths).peers())
                .containsEntry("host-b", new AgentConfig.Peer("host-b", 7600, B.fingerprint()));
        assertThat(Files.readString(real)).startsWith("# mine\n[epoch]\nepochMs = 30 # slow\n\n[peers.host-b]\n");
        assertThat(Files.isSymbolicLink(paths.configuration())).isTrue();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(real)))
                .isEqualTo("rw-r-----");
    }

    @Test
    void shouldLeaveAnEntryThatIsThereAndRefuseAnotherOfItsName(@TempDir Path root) throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        PeerEntry entry = new PeerEntry("host-b", "host-b:7600", B.fingerprint());
        entry.append(paths);
        String before = Files.readString(paths.configuration());
        entry.append(paths);

        assertThatThrownBy(() -> new PeerEntry("host-b", "x:1", A.fingerprint()).append(paths))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-exists"));
        assertThatThrownBy(() -> new PeerEntry("host-c", "x:1", B.fingerprint()).append(paths))
                .hasMessage(paths.configuration()
                        + " has this host already, as [peers.host-b] and not as host-c. Rename that"
                        + " table, or remove it and pair again. Nothing was written.");
        assertThat(Files.readString(paths.configuration())).isEqualTo(before);
    }

    @Test
    void shouldWriteBothEntriesWhenTwoPairingsEndAtOnce(@TempDir Path root) throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        List<Process> writers = new ArrayList<>();
        for (String name : List.of("b", "c", "d")) {
            writers.add(new ProcessBuilder(
                            System.getProperty("java.home") + "/bin/java",
                            "-cp",
                            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                            PeerEntryWriter.class.getName(),
                            root.toString(),
                            name,
                            "sha256:" + name.repeat(64))
                    .inheritIO()
                    .start());
        }
        for (Process writer : writers) {
            assertThat(writer.waitFor()).isZero();
        }

        assertThat(AgentConfig.load(paths).peers()).containsOnlyKeys("b", "c", "d");
    }

    @Test
    void shouldGoOnListeningWhenAStrangerConnects() throws Exception {
        int port = freePort();
        BlockingQueue<String> log = new LinkedBlockingQueue<>();
        FutureTask<Met> listening =
                new FutureTask<>(() -> new Meeting(port, 20_000).listen(B, log::add, (code, other) -> codes.add(code)));
        new Thread(listening, "listening").start();
        assertThat(log.take()).startsWith("waiting for `lockstep pair`");
        try (Socket stranger = new Socket(InetAddress.getLoopbackAddress(), port)) {
            stranger.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            assertThat(log.take())
                    .isEqualTo(
                            "a connection from 127.0.0.1 was no pairing: magic 47455420 != 4c535031. Nothing was written."
                                    + " Run `lockstep pair` of the same version on both hosts.");
        }

        Met seen = new Meeting(port, 20_000).dial("127.0.0.1", A, (code, other) -> codes.add(code));
        assertThat(seen).isEqualTo(new Met(B, "127.0.0.1"));
        assertThat(listening.get(10, TimeUnit.SECONDS)).isEqualTo(new Met(A, "127.0.0.1"));
        assertThat(codes.take()).isEqualTo(codes.take());
    }

    @Test
    void shouldNotPairAHostWithItself() throws Exception {
        int port = freePort();
        BlockingQueue<String> log = new LinkedBlockingQueue<>();
        FutureTask<Met> listening =
                new FutureTask<>(() -> new Meeting(port, 20_000).listen(A, log::add, (code, other) -> codes.add(code)));
        new Thread(listening, "listening").start();
        log.take();

        String refusal = "the other side has this host's own fingerprint " + A.fingerprint()
                + ". Nothing was written. Pair with another host; if that one is a clone of this, remove its identity.";
        Introduction self = new Introduction("host-z", 7500, A.fingerprint());
        assertThatThrownBy(() -> new Meeting(port, 20_000).dial("127.0.0.1", self, (code, other) -> codes.add(code)))
                .hasMessage(refusal);
        assertThat(log.take()).isEqualTo("a connection from 127.0.0.1 was no pairing: " + refusal);
        assertThat(codes).isEmpty();
        new Meeting(port, 20_000).dial("127.0.0.1", B, (code, other) -> codes.add(code));
        assertThat(listening.get(10, TimeUnit.SECONDS)).isEqualTo(new Met(B, "127.0.0.1"));
    }

    @Test
    void shouldSayWhyWhenTheOtherHostIsNotThere() throws Exception {
        int port = freePort();
        assertThatThrownBy(() -> new Meeting(port, 1_000).dial("127.0.0.1", A, (code, other) -> true))
                .hasMessage("cannot reach 127.0.0.1 at port " + port + ": Connection refused. Nothing was written. Run"
                        + " `lockstep pair --listen` there first, and let TCP port " + port + " through.");
        assertThatThrownBy(() -> new Meeting(port, 1).listen(B, line -> {}, (code, other) -> true))
                .hasMessageStartingWith("nobody came to port " + port + " within 0 s. Nothing was written.");
        try (ServerSocket taken = new ServerSocket(port)) {
            assertThatThrownBy(
                            () -> new Meeting(taken.getLocalPort(), 1_000).listen(B, line -> {}, (code, other) -> true))
                    .hasMessageStartingWith("port " + port + " is in use: ");
        }
    }

    @Test
    void shouldRefuseOnBothSidesWhenOneCouldNotWriteTheOtherDown() throws Exception {
        int port = freePort();
        BlockingQueue<String> log = new LinkedBlockingQueue<>();
        FutureTask<Met> listening =
                new FutureTask<>(() -> new Meeting(port, 20_000).listen(B, log::add, (code, other) -> {
                    throw new LockstepException("peer-exists", "another one is there.");
                }));
        new Thread(listening, "listening").start();
        log.take();

        assertThatThrownBy(() -> new Meeting(port, 20_000).dial("127.0.0.1", A, (code, other) -> true))
                .hasMessageStartingWith("the codes were not confirmed on the other host. Nothing was written;");
        assertThatThrownBy(() -> listening.get(10, TimeUnit.SECONDS)).hasMessageContaining("another one is there.");
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
