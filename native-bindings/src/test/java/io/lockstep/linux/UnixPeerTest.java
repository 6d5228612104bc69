package io.lockstep.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UnixPeerTest {
    @TempDir
    Path directory;

    @Test
    void shouldKnowTheProcessAndThatItHungUp() throws Exception {
        UnixDomainSocketAddress address = UnixDomainSocketAddress.of(directory.resolve("s"));
        UnixPeer peer = new UnixPeer();
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(address);
            SocketChannel client = SocketChannel.open(address);
            try (SocketChannel accepted = listener.accept()) {
                assertThat(peer.pid(accepted))
                        .isEqualTo((int) ProcessHandle.current().pid());
                assertThat(peer.uid(accepted)).isEqualTo(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
                assertThat(peer.hungUp(accepted)).isFalse();
                client.shutdownOutput();
                assertThat(peer.hungUp(accepted)).as("it waits for an answer").isFalse();
                client.close();
                assertThat(peer.hungUp(accepted)).isTrue();
            } finally {
                client.close();
            }
        }
    }
}
