package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import org.junit.jupiter.api.Test;

class RelayTest {
    /** Bounds a read that must succeed. */
    private static final int READ_MS = 10_000;

    @Test
    void shouldPassBytesBothWaysAndTheEndOfTheConnectionWhenItIsNotSilenced() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Relay relay = new Relay((InetSocketAddress) server.getLocalSocketAddress());
                Socket client = new Socket(InetAddress.getLoopbackAddress(), relay.port());
                Socket accepted = server.accept()) {
            accepted.setSoTimeout(READ_MS);
            client.setSoTimeout(READ_MS);
            client.getOutputStream().write(7);
            accepted.getOutputStream().write(9);

            assertThat(accepted.getInputStream().read()).isEqualTo(7);
            assertThat(client.getInputStream().read()).isEqualTo(9);

            client.shutdownOutput();

            assertThat(accepted.getInputStream().read()).isEqualTo(-1);
        }
    }

    @Test
    void shouldPassNeitherBytesNorTheEndOfTheConnectionWhenItIsSilenced() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Relay relay = new Relay((InetSocketAddress) server.getLocalSocketAddress());
                Socket client = new Socket(InetAddress.getLoopbackAddress(), relay.port());
                Socket accepted = server.accept()) {
            accepted.setSoTimeout(READ_MS);
            client.getOutputStream().write(7);
            assertThat(accepted.getInputStream().read()).isEqualTo(7);

            relay.silence();
            client.getOutputStream().write(8);
            client.shutdownOutput();

            // Silence has no event to wait for: this is as long as the test looks for a byte or an end that must not
            // come.
            accepted.setSoTimeout(200);
            assertThatThrownBy(() -> accepted.getInputStream().read()).isInstanceOf(SocketTimeoutException.class);
        }
    }
}
