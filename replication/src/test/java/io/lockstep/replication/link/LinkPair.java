package io.lockstep.replication.link;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Two ends of a real TLS connection over loopback. */
final class LinkPair implements AutoCloseable {
    static final LinkTimeouts TIMEOUTS = new LinkTimeouts(5_000, 5_000, 5_000);

    final LinkListener listener;
    final TlsChannel client;
    final TlsChannel server;

    LinkPair() throws Exception {
        this(TIMEOUTS);
    }

    LinkPair(LinkTimeouts timeouts) throws Exception {
        BlockingQueue<TlsChannel> accepted = new LinkedBlockingQueue<>();
        Identity primary = TestIdentities.primary();
        Identity peer = TestIdentities.peer();
        listener = listen(peer, Set.of(primary.fingerprint()), timeouts, accepted);
        client = new LinkDialer(primary, timeouts).dial(listener.address(), peer.fingerprint());
        server = accepted.poll(10, TimeUnit.SECONDS);
        if (server == null) {
            throw new AssertionError("the listener handed over no channel within 10 s");
        }
    }

    static LinkListener listen(
            Identity identity, Set<String> allowed, LinkTimeouts timeouts, BlockingQueue<TlsChannel> accepted)
            throws Exception {
        InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        return new LinkListener(any, identity, () -> allowed, timeouts, accepted::add);
    }

    @Override
    public void close() {
        client.close();
        server.close();
        listener.close();
    }
}
