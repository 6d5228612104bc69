package io.lockstep.replication.disk;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.ProcessOwner;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves one export on a unix socket to whoever may open the socket; NBD protocol, github.com/NetworkBlockDevice/nbd, doc/proto.md.
 *
 * <p>Each connection has a thread, and memory of little more than {@link #PIECE_BYTES_MAX} that it takes at its beginning. A malformed client
 * loses its connection, and nobody else anything. Any thread.
 */
public final class NbdServer implements AutoCloseable {
    /** Most that a READ or WRITE may carry; QEMU's own limit, and what the protocol recommends. */
    public static final int PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;

    /** Most that an export gets at once: 16 connections then have 16 MiB, and a piece stays in the processor's caches. */
    public static final int PIECE_BYTES_MAX = 1024 * 1024;

    /** Size and alignment of requests that cost no extra work. */
    static final int PREFERRED_BYTES = 4096;

    /** Of unix(7), with its terminating zero byte not counted. */
    private static final int PATH_BYTES_MAX = 107;

    /** Waiting in the kernel. */
    private static final int BACKLOG = 16;

    /** Accepting fails while no descriptor is free; trying again at once would only burn the CPU. */
    private static final long ACCEPT_RETRY_NS = TimeUnit.MILLISECONDS.toNanos(50);

    /** Until an export's call must have ended by itself, and again after its thread was interrupted. */
    private static final long CLOSE_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(2);

    private static final Logger LOG = LoggerFactory.getLogger(NbdServer.class);

    private final Path socket;
    private final NbdExport export;
    private final int connectionsMax;
    private final DutyCycle rounds;
    private final ServerSocketChannel server;
    private final List<Connection> connections = new ArrayList<>();
    private final Thread acceptor;
    private boolean full;

    /**
     * Listens at once. What is at the socket's path is replaced; a missing directory is made.
     *
     * @param owner who may connect, besides root; null for this process's user alone
     * @param connectionsMax connections at once; more are closed before their first byte
     * @throws LockstepException {@code nbd-socket} if the socket cannot be had
     */
    public NbdServer(Path socket, NbdExport export, @Nullable ProcessOwner owner, int connectionsMax)
            throws LockstepException {
        this(socket, export, owner, connectionsMax, DutyCycle.idle());
    }

    /** @param rounds takes how long each request took that was answered, and each connection until it was admitted */
    public NbdServer(Path socket, NbdExport export, @Nullable ProcessOwner owner, int connectionsMax, DutyCycle rounds)
            throws LockstepException {
        this.rounds = rounds;
        this.socket = socket.toAbsolutePath();
        this.export = export;
        this.connectionsMax = connectionsMax;
        if (export.name().getBytes(StandardCharsets.UTF_8).length > NbdProtocol.STRING_BYTES_MAX) {
            throw new IllegalArgumentException("the export's name is longer than 4096 bytes");
        }
        server = bind(this.socket, owner);
        acceptor = new Thread(this::accept, "nbd-accept-" + export.name());
        acceptor.setDaemon(true);
        acceptor.start();
    }

    /** Where it listens. */
    public Path socket() {
        return socket;
    }

    /** How long its threads take for what they are asked. */
    DutyCycle rounds() {
        return rounds;
    }

    /** Connections that are open now. */
    public int connections() {
        synchronized (connections) {
            return connections.size();
        }
    }

    /**
     * Removes the socket and ends all connections, without waiting for their clients. Returns when no thread calls the export any more, or,
     * with an error in the log, after 4 s if a call of the export's does not end by interruption.
     */
    @Override
    public void close() {
        List<Connection> open;
        synchronized (connections) {
            try {
                server.close();
                Files.deleteIfExists(socket);
            } catch (IOException e) {
                LOG.warn("closing {}: {}", socket, e.toString());
            }
            open = List.copyOf(connections);
        }
        open.forEach(Connection::disconnect);
        long deadlineNs = System.nanoTime() + CLOSE_TIMEOUT_NS;
        open.forEach(connection -> connection.join(deadlineNs));
        open.forEach(Connection::interruptIfAlive);
        long lastNs = System.nanoTime() + CLOSE_TIMEOUT_NS;
        for (Connection connection : open) {
            if (!connection.join(lastNs)) {
                LOG.error("{}: a call of export {} does not end", connection.thread.getName(), export.name());
            }
        }
    }

    private void accept() {
        while (server.isOpen()) {
            try {
                SocketChannel channel = server.accept();
                long beganNs = System.nanoTime();
                admit(channel);
                rounds.took(System.nanoTime() - beganNs);
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                LOG.warn("accepting on {} failed: {}", socket, e.getMessage());
                LockSupport.parkNanos(ACCEPT_RETRY_NS);
            }
        }
    }

    private void admit(SocketChannel channel) throws IOException {
        synchronized (connections) {
            if (!server.isOpen() || connections.size() >= connectionsMax) {
                channel.close();
                if (!full) {
                    full = true;
                    LOG.warn(
                            "{}: connection refused, {} are open; more refusals are not logged",
                            socket,
                            connectionsMax);
                }
                return;
            }
            Connection connection = new Connection(channel);
            connections.add(connection);
            connection.thread.start();
        }
    }

    private static ServerSocketChannel bind(Path socket, @Nullable ProcessOwner owner) throws LockstepException {
        ServerSocketChannel opened = null;
        try {
            if (socket.toString().getBytes(StandardCharsets.UTF_8).length > PATH_BYTES_MAX) {
                throw new IOException("the path is longer than " + PATH_BYTES_MAX + " bytes");
            }
            opened = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            bindHidden(opened, socket, owner);
            return opened;
        } catch (IOException e) {
            if (opened != null) {
                try {
                    opened.close();
                } catch (IOException suppressed) {
                    e.addSuppressed(suppressed);
                }
            }
            throw new LockstepException(
                    "nbd-socket",
                    "cannot listen on " + socket + ": " + e.getMessage()
                            + ". Choose a shorter --root, or free its file system.",
                    e);
        }
    }

    /** The socket gets its owner and permissions where nobody else can reach it, and then its name. */
    private static void bindHidden(ServerSocketChannel server, Path socket, @Nullable ProcessOwner owner)
            throws IOException {
        Path directory = socket.getParent();
        if (directory == null) {
            throw new IOException("no directory");
        }
        Files.createDirectories(directory);
        Path hidden = Files.createTempDirectory(
                directory, ".", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path made = hidden.resolve("s");
        try {
            server.bind(UnixDomainSocketAddress.of(made), BACKLOG);
            Files.setPosixFilePermissions(made, PosixFilePermissions.fromString("rw-------"));
            if (owner != null) {
                owner.own(made);
            }
            Files.move(made, socket, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(made);
            Files.deleteIfExists(hidden);
        }
    }

    /** One client. */
    private final class Connection implements Runnable {
        private final SocketChannel channel;
        private final Thread thread;

        Connection(SocketChannel channel) {
            this.channel = channel;
            thread = new Thread(this, "nbd-" + export.name());
            thread.setDaemon(true);
        }

        @Override
        public void run() {
            // The memory is taken here: where there is none, this connection ends, and the one that accepts lives on.
            try (channel;
                    NbdWire wire = new NbdWire(channel)) {
                wire.sendBuffer(PIECE_BYTES_MAX);
                NbdHandshake handshake = new NbdHandshake(wire, export);
                if (handshake.negotiate()) {
                    new NbdTransmission(wire, export, handshake, rounds).serve();
                }
            } catch (ClosedChannelException e) {
                LOG.debug("connection to {} closed from our side", socket);
            } catch (IOException | OutOfMemoryError e) {
                LOG.warn("connection to {} ended: {}", socket, e.getMessage());
            } finally {
                synchronized (connections) {
                    connections.remove(this);
                    full = false;
                }
            }
        }

        void disconnect() {
            try {
                channel.close();
            } catch (IOException e) {
                LOG.debug("disconnecting from {}", socket, e);
            }
        }

        void interruptIfAlive() {
            if (thread.isAlive()) {
                thread.interrupt();
            }
        }

        boolean join(long deadlineNs) {
            try {
                TimeUnit.NANOSECONDS.timedJoin(thread, Math.max(1, deadlineNs - System.nanoTime()));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return !thread.isAlive();
        }
    }
}
