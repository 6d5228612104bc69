package io.lockstep.agent.api;

import io.lockstep.agent.PassedSocket;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.doctor.Doctor;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.unixdomain.server.UnixDomainServerConnector;
import org.eclipse.jetty.util.HostPort;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The management socket. It is made in a directory that only the agent's user can enter, gets mode 0660 and group {@code lockstep} there, and
 * is then renamed into its place: the socket never exists with wider permissions than its final ones, and a stale one is replaced.
 */
public final class ApiServer implements AutoCloseable {
    /** Members may manage the agent; without such a group only the agent's user and root may. */
    public static final String GROUP = "lockstep";

    private static final Logger LOG = LoggerFactory.getLogger(ApiServer.class);

    /** Acceptor, selector, and some requests at a time: none of them takes long. */
    private static final int THREADS_MAX = 12;

    /** Half of them for a process or, over TCP, an address; (512 - 64) / 2 for a user of the read-only socket: a monitoring's 200 clients are within. */
    private static final int CONNECTIONS_MAX = 512;

    private static final int IDLE_TIMEOUT_MS = 10_000;
    static final int HEADER_BYTES_MAX = 8 << 10;

    /** A client that sends slower than this is cut off. */
    private static final int REQUEST_BYTES_PER_SECOND_MIN = 64;

    private static final long STOP_TIMEOUT_MS = 1_000;

    /** Names of the connectors: of the socket for managing, and of what is besides. */
    static final String MANAGE = "manage";

    static final String READ_ONLY = "read-only";

    static final String METRICS = "metrics";

    private final Server server;
    private final Jobs jobs;
    private final EventStreams streams;
    private final List<Path> sockets = new ArrayList<>();

    private ApiServer(Server server, Jobs jobs, EventStreams streams) {
        this.server = server;
        this.jobs = jobs;
        this.streams = streams;
    }

    /**
     * What is served besides the socket for managing.
     *
     * @param readOnlySocket for every user of this host; null: none
     * @param hideGuestNames whether its readers see pseudonyms
     * @param metricsAddress host and port of an address for {@code /metrics} alone; null: none
     */
    public record Options(
            @Nullable Path readOnlySocket,
            boolean hideGuestNames,
            @Nullable InetSocketAddress metricsAddress) {
        /** Nothing. */
        public static final Options NONE = new Options(null, false, null);
    }

    /** As {@link #start(VmOperations, Doctor, Path, Options)} with nothing besides. */
    public static ApiServer start(VmOperations operations, Doctor doctor, Path socket) throws LockstepException {
        return start(operations, doctor, socket, Options.NONE);
    }

    /** Serves the operations at a path. */
    public static ApiServer start(VmOperations operations, Doctor doctor, Path socket, Options options)
            throws LockstepException {
        return start(operations, doctor, socket, options, Budgets::new);
    }

    static ApiServer start(
            VmOperations operations, Doctor doctor, Path socket, Options options, Function<Overhead, Budgets> budgets)
            throws LockstepException {
        Jobs jobs = new Jobs(operations.events());
        ApiRounds rounds = new ApiRounds();
        ApiThreads threads = new ApiThreads(THREADS_MAX, IDLE_TIMEOUT_MS, rounds.queue);
        Overhead overhead = new Overhead(threads::costNs);
        Admission admission = new Admission(budgets.apply(overhead), overhead);
        Server server = new Server(threads);
        server.setStopTimeout(STOP_TIMEOUT_MS);
        EventStreams streams = new EventStreams(operations.events(), rounds.events);
        Routes routes = new Routes(operations, doctor, jobs);
        server.setHandler(new ApiHandler(routes, operations, streams, rounds, admission, options.hideGuestNames));
        server.setErrorHandler(new ProblemErrors(admission));
        ApiServer api = new ApiServer(server, jobs, streams);
        Path place = socket;
        try {
            server.start();
            if (!api.inherit()) {
                api.bind(socket, MANAGE, "rw-rw----", GROUP);
            }
            if (options.readOnlySocket != null) {
                place = options.readOnlySocket;
                api.bind(place, READ_ONLY, "rw-rw-rw-", null);
            }
        } catch (Exception e) {
            api.close();
            throw new LockstepException(
                    "socket-not-created",
                    "cannot listen at " + place + ": " + e
                            + ". The path must be shorter than 108 bytes, in a directory that the"
                            + " agent's user may write.",
                    e);
        }
        if (options.metricsAddress != null) {
            api.serveMetrics(options.metricsAddress);
        }
        return api;
    }

    private void serveMetrics(InetSocketAddress address) throws LockstepException {
        ServerConnector connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(http()));
        connector.setName(METRICS);
        connector.setHost(address.getHostString());
        connector.setPort(address.getPort());
        connector.setIdleTimeout(IDLE_TIMEOUT_MS);
        connector.setAcceptQueueSize(CONNECTIONS_MAX);
        connector.addBean(new ConnectionBound(CONNECTIONS_MAX, IDLE_TIMEOUT_MS, null, null, server.getScheduler()));
        server.addConnector(connector);
        try {
            connector.start();
        } catch (Exception e) {
            close();
            throw new LockstepException(
                    "metrics-address-not-usable",
                    "cannot listen at " + address.getHostString() + ":" + address.getPort() + " for metrics: " + e
                            + ". Correct [metrics] address, or leave it out.",
                    e);
        }
    }

    /** Takes the socket that systemd made and listens at; false if there is none. */
    @SuppressWarnings("checkstyle:IllegalThrows")
    private boolean inherit() throws Exception {
        // Asking for it closes standard output and error: only where somebody says that there is one.
        if (PassedSocket.isPassed(System.getenv())) {
            PassedSocket.becomeStandardInput();
        } else if (!"stdin".equals(System.getenv("LOCKSTEP_SOCKET"))) {
            return false;
        }
        Channel inherited = System.inheritedChannel();
        if (!(inherited instanceof ServerSocketChannel channel)
                || !(channel.getLocalAddress() instanceof UnixDomainSocketAddress)) {
            return false;
        }
        UnixDomainServerConnector connector = connector(MANAGE, GROUP);
        connector.setInheritChannel(true);
        connector.start();
        return true;
    }

    private UnixDomainServerConnector connector(String name, @Nullable String group) {
        UnixDomainServerConnector connector =
                new UnixDomainServerConnector(server, 1, 1, new HttpConnectionFactory(http()));
        connector.setName(name);
        connector.setIdleTimeout(IDLE_TIMEOUT_MS);
        // A client that does not wait, as curl, is refused where the queue is full, though there are places: 50 is the
        // JDK's own.
        connector.setAcceptQueueSize(CONNECTIONS_MAX);
        connector.addBean(new ConnectionBound(
                CONNECTIONS_MAX,
                IDLE_TIMEOUT_MS,
                group == null ? null : new PeerCredentials(group),
                group == null ? new PeerCredentials(GROUP) : null,
                server.getScheduler()));
        server.addConnector(connector);
        return connector;
    }

    private static HttpConfiguration http() {
        HttpConfiguration http = new HttpConfiguration();
        http.setRequestHeaderSize(HEADER_BYTES_MAX);
        http.setSendServerVersion(false);
        // HTTP/1.0 may name none, and the path of a socket is none.
        http.setServerAuthority(new HostPort("lockstep", 80));
        http.setMinRequestDataRate(REQUEST_BYTES_PER_SECOND_MIN);
        // A VM may be named by its QMP socket, whose slashes then stand percent-encoded in one segment.
        http.setUriCompliance(UriCompliance.RFC3986.with(
                "vm-in-path",
                UriCompliance.Violation.AMBIGUOUS_PATH_SEPARATOR,
                UriCompliance.Violation.AMBIGUOUS_PATH_ENCODING,
                UriCompliance.Violation.SUSPICIOUS_PATH_CHARACTERS));
        return http;
    }

    @SuppressWarnings("checkstyle:IllegalThrows")
    private void bind(Path socket, String name, String mode, @Nullable String group) throws Exception {
        Path directory = socket.toAbsolutePath().getParent();
        if (directory == null) {
            throw new IOException("no directory");
        }
        Files.createDirectories(directory);
        Path hidden = Files.createTempDirectory(
                directory, ".", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path made = hidden.resolve("s");
        try {
            UnixDomainServerConnector connector = connector(name, group);
            connector.setUnixDomainPath(made);
            connector.start();
            PosixFileAttributeView attributes = Files.getFileAttributeView(made, PosixFileAttributeView.class);
            if (group != null) {
                setGroup(attributes, socket, group);
            }
            attributes.setPermissions(PosixFilePermissions.fromString(mode));
            Files.move(made, socket, StandardCopyOption.ATOMIC_MOVE);
            sockets.add(socket);
        } finally {
            Files.deleteIfExists(made);
            Files.deleteIfExists(hidden);
        }
    }

    private static void setGroup(PosixFileAttributeView attributes, Path socket, String name) throws IOException {
        try {
            GroupPrincipal group =
                    socket.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByGroupName(name);
            attributes.setGroup(group);
        } catch (UserPrincipalNotFoundException e) {
            LOG.debug("no group {}", name);
        } catch (java.nio.file.FileSystemException e) {
            LOG.warn("{} keeps its group: {}. Only its owner and root may use it.", socket, e.getMessage());
        }
    }

    /** Ends running requests and jobs, removes the socket. */
    @Override
    public void close() {
        jobs.close();
        try {
            streams.close();
            server.stop();
            for (Path socket : sockets) {
                Files.deleteIfExists(socket);
            }
        } catch (Exception e) {
            LOG.warn("management socket not closed in order: {}", e.toString());
        }
    }
}
