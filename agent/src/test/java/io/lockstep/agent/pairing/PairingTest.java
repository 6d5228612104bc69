package io.lockstep.agent.pairing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.pairing.Pairing.Introduction;
import io.lockstep.replication.LockstepException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
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
    void shouldAppendThePeerToTheConfiguration(@TempDir Path root) throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        PeerEntry.append(paths, "host-b", "host-b:7600", B.fingerprint());

        assertThat(AgentConfig.load(paths).peers())
                .containsEntry("host-b", new AgentConfig.Peer("host-b", 7600, B.fingerprint()));
        assertThatThrownBy(() -> PeerEntry.append(paths, "host-b", "x:1", A.fingerprint()))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("configuration-invalid"));
    }
}
