package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Connects to a peer's {@link LinkListener}. Any thread. */
public final class LinkDialer {
    private final Identity identity;
    private final LinkTimeouts timeouts;

    public LinkDialer(Identity identity, LinkTimeouts timeouts) {
        this.identity = identity;
        this.timeouts = timeouts;
    }

    /**
     * Connects, and proves both identities. Waits at most for the connect and the handshake timeout.
     *
     * <p>That the peer has refused <em>this</em> host's certificate shows only at the first {@link FrameChannel#receive} (TLS 1.3 ends the
     * client's handshake before the server has judged): {@code peer-refused-identity}.
     *
     * @param expectedFingerprint {@code sha256:} and 64 hexadecimal digits: the only peer that will do
     * @throws LockstepException {@code peer-unreachable}; {@code peer-identity} or {@code link-handshake} as {@link LinkException}
     */
    public TlsChannel dial(InetSocketAddress address, String expectedFingerprint) throws LockstepException {
        TimedSocket socket = connect(address);
        return TlsChannel.open(socket, identity, Set.of(expectedFingerprint), true, timeouts);
    }

    private TimedSocket connect(InetSocketAddress address) throws LockstepException {
        // The configuration may have been read before the name service was up: look the name up anew each time.
        InetSocketAddress target =
                address.isUnresolved() ? new InetSocketAddress(address.getHostString(), address.getPort()) : address;
        if (target.isUnresolved()) {
            throw new LockstepException(
                    "peer-unreachable",
                    "no address is known for peer " + address.getHostString()
                            + ". Correct its address in [peers], or the name service.");
        }
        SocketChannel channel = null;
        try {
            channel = SocketChannel.open();
            channel.configureBlocking(false);
            if (!channel.connect(target)) {
                await(channel);
            }
            return new TimedSocket(channel);
        } catch (IOException e) {
            close(channel);
            throw new LockstepException(
                    "peer-unreachable",
                    "peer " + AddressText.of(target) + " cannot be reached: " + e.getMessage()
                            + ". See that lockstep runs there, that it listens on this port, and that no firewall is"
                            + " between.",
                    e);
        }
    }

    private void await(SocketChannel channel) throws IOException {
        try (Selector selector = Selector.open()) {
            channel.register(selector, SelectionKey.OP_CONNECT);
            selector.select(timeouts.connectMs());
            if (!channel.finishConnect()) {
                throw new IOException("no answer within " + timeouts.connectMs() + " ms");
            }
        }
    }

    private static void close(@Nullable SocketChannel channel) {
        if (channel != null) {
            try {
                channel.close();
            } catch (IOException e) {
                // It was never connected: nothing is lost.
            }
        }
    }
}
