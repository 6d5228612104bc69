package io.lockstep.replication.link;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Accepts connections on one port and hands over those whose peer has proven an allowed certificate.
 *
 * <p>Whoever has not costs little: a place among {@link #HANDSHAKES_MAX} for at most the handshake timeout, of which one address gets at most
 * {@link #HANDSHAKES_PER_ADDRESS_MAX}, no thread that anything else waits for, and a line in the log while there are few of them.
 */
public final class LinkListener implements AutoCloseable {
    /** Handshakes at once. Each has a thread and some 100 KB of buffers: 2 MB at worst, for the handshake timeout. */
    static final int HANDSHAKES_MAX = 16;

    /** A host protects at most some dozen VMs here, and dials them one by one after a restart. */
    static final int HANDSHAKES_PER_ADDRESS_MAX = 8;

    /** Connections that wait in the kernel. */
    private static final int BACKLOG = 64;

    /** Accepting fails while no descriptor is free; trying again at once would only burn the CPU. */
    private static final long ACCEPT_RETRY_NS = TimeUnit.MILLISECONDS.toNanos(50);

    private static final Logger LOG = LoggerFactory.getLogger(LinkListener.class);

    private final Identity identity;
    private final Supplier<Set<String>> allowed;
    private final LinkTimeouts timeouts;
    private final Consumer<TlsChannel> peers;
    private final BoundedLog log = new BoundedLog(LOG, System::nanoTime);
    private final NanoClock clock;
    private final DutyCycle rounds = DutyCycle.idle();
    private final Map<InetAddress, Integer> handshaking = new ConcurrentHashMap<>();
    private final ServerSocketChannel server;
    private final InetSocketAddress address;
    private final ThreadPoolExecutor handshakes;
    private final Thread acceptor;

    /**
     * Listens at once.
     *
     * @param allowed fingerprints of the peers that may connect; asked anew for each connection
     * @param peers takes each authenticated channel, on a thread that is lent for a moment only: it must start its own for what takes long
     * @throws LockstepException {@code link-port} if the port cannot be had
     */
    public LinkListener(
            InetSocketAddress address,
            Identity identity,
            Supplier<Set<String>> allowed,
            LinkTimeouts timeouts,
            Consumer<TlsChannel> peers)
            throws LockstepException {
        this(address, identity, allowed, timeouts, peers, SystemNanoClock.INSTANCE);
    }

    LinkListener(
            InetSocketAddress address,
            Identity identity,
            Supplier<Set<String>> allowed,
            LinkTimeouts timeouts,
            Consumer<TlsChannel> peers,
            NanoClock clock)
            throws LockstepException {
        this.clock = clock;
        this.identity = identity;
        this.allowed = allowed;
        this.timeouts = timeouts;
        this.peers = peers;
        server = bind(address);
        this.address = localAddress(server, address);
        handshakes = new ThreadPoolExecutor(
                0, HANDSHAKES_MAX, 10, TimeUnit.SECONDS, new SynchronousQueue<>(), LinkListener::handshakeThread);
        acceptor = new Thread(this::accept, "link-accept");
        acceptor.setDaemon(true);
        acceptor.start();
    }

    /** The address that it listens on; with the real port if 0 was asked for. */
    public InetSocketAddress address() {
        return address;
    }

    /** How long the thread that accepts takes for a connection, until another thread has it. A handshake is the peer's time and none of these. */
    public DutyCycle rounds() {
        return rounds;
    }

    /** Stops listening. Channels that were handed over stay open. Any thread. */
    @Override
    public void close() {
        try {
            server.close();
        } catch (IOException e) {
            LOG.warn("closing the link's port {}: {}", AddressText.of(address), e.toString());
        }
        handshakes.shutdownNow();
        try {
            acceptor.join(TimeUnit.SECONDS.toMillis(5));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void accept() {
        while (server.isOpen()) {
            rounds.rest(clock.nanoTime());
            try {
                SocketChannel channel = server.accept();
                rounds.mark(clock.nanoTime());
                admit(channel);
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                log.warn("accepting on " + AddressText.of(address) + " failed: " + e.getMessage());
                LockSupport.parkNanos(ACCEPT_RETRY_NS);
            }
        }
    }

    private void admit(SocketChannel channel) throws IOException {
        InetAddress from = channel.socket().getInetAddress();
        if (from == null) {
            channel.close();
            return;
        }
        int pending = handshaking.merge(from, 1, Integer::sum);
        try {
            if (pending > HANDSHAKES_PER_ADDRESS_MAX) {
                throw new RejectedExecutionException("its address has " + HANDSHAKES_PER_ADDRESS_MAX);
            }
            handshakes.execute(() -> {
                try {
                    handshake(channel);
                } finally {
                    leave(from);
                }
            });
        } catch (RejectedExecutionException e) {
            leave(from);
            channel.close();
            log.warn("connection from " + AddressText.of(from) + " refused: too many handshakes under way");
        }
    }

    private void leave(InetAddress from) {
        handshaking.computeIfPresent(from, (key, count) -> count == 1 ? null : count - 1);
    }

    private void handshake(SocketChannel connection) {
        TlsChannel channel = null;
        try {
            Set<String> allowedNow = allowed.get();
            channel = TlsChannel.open(new TimedSocket(connection), identity, allowedNow, false, timeouts);
        } catch (IOException | LinkException e) {
            log.warn("connection refused: " + e.getMessage());
            LOG.debug("connection refused", e);
        }
        if (channel != null) {
            handOver(channel);
        }
    }

    private void handOver(TlsChannel channel) {
        boolean taken = false;
        try {
            peers.accept(channel);
            taken = true;
        } finally {
            if (!taken) {
                channel.close();
            }
        }
    }

    private static ServerSocketChannel bind(InetSocketAddress address) throws LockstepException {
        ServerSocketChannel opened = null;
        try {
            opened = ServerSocketChannel.open();
            opened.setOption(StandardSocketOptions.SO_REUSEADDR, true);
            opened.bind(address, BACKLOG);
            return opened;
        } catch (IOException | java.nio.channels.UnresolvedAddressException e) {
            if (opened != null) {
                try {
                    opened.close();
                } catch (IOException suppressed) {
                    e.addSuppressed(suppressed);
                }
            }
            throw new LockstepException(
                    "link-port",
                    "cannot listen on " + AddressText.of(address) + ": "
                            + (address.isUnresolved() ? "no address is known for this name" : e.getMessage())
                            + ". Choose another address or port in [listen], or end what uses it.",
                    e);
        }
    }

    private static InetSocketAddress localAddress(ServerSocketChannel server, InetSocketAddress asked) {
        try {
            return server.getLocalAddress() instanceof InetSocketAddress local ? local : asked;
        } catch (IOException e) {
            return asked;
        }
    }

    private static Thread handshakeThread(Runnable work) {
        Thread thread = new Thread(work, "link-handshake");
        thread.setDaemon(true);
        return thread;
    }
}
