package io.lockstep.agent.api;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.doctor.Doctor;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.unixdomain.server.UnixDomainServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
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

    private static final int CONNECTIONS_MAX = 256;
    private static final int IDLE_TIMEOUT_MS = 10_000;
    private static final int HEADER_BYTES_MAX = 8 << 10;

    /** A client that sends slower than this is cut off. */
    private static final int REQUEST_BYTES_PER_SECOND_MIN = 64;

    private static final long STOP_TIMEOUT_MS = 1_000;

    private final Server server;
    private final Jobs jobs;
    private final Path socket;

    private ApiServer(Server server, Jobs jobs, Path socket) {
        this.server = server;
        this.jobs = jobs;
        this.socket = socket;
    }

    /** Serves the operations at a path. */
    public static ApiServer start(VmOperations operations, Doctor doctor, Path socket) throws LockstepException {
        Jobs jobs = new Jobs();
        QueuedThreadPool threads = new QueuedThreadPool(THREADS_MAX, 3, IDLE_TIMEOUT_MS);
        threads.setName("api");
        threads.setDaemon(true);
        Server server = new Server(threads);
        server.setStopTimeout(STOP_TIMEOUT_MS);
        UnixDomainServerConnector connector =
                new UnixDomainServerConnector(server, 1, 1, new HttpConnectionFactory(http()));
        connector.setIdleTimeout(IDLE_TIMEOUT_MS);
        server.addConnector(connector);
        connector.addBean(new ConnectionBound(CONNECTIONS_MAX));
        server.setHandler(new ApiHandler(new Routes(operations, doctor, jobs)));
        ApiServer api = new ApiServer(server, jobs, socket);
        try {
            api.bind(connector);
            return api;
        } catch (Exception e) {
            api.close();
            throw new LockstepException(
                    "socket-not-created",
                    "cannot listen at " + socket + ": " + e
                            + ". The path must be shorter than 108 bytes, in a directory that the"
                            + " agent's user may write.",
                    e);
        }
    }

    private static HttpConfiguration http() {
        HttpConfiguration http = new HttpConfiguration();
        http.setRequestHeaderSize(HEADER_BYTES_MAX);
        http.setSendServerVersion(false);
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
    private void bind(UnixDomainServerConnector connector) throws Exception {
        Path directory = socket.toAbsolutePath().getParent();
        if (directory == null) {
            throw new IOException("no directory");
        }
        Files.createDirectories(directory);
        Path hidden = Files.createTempDirectory(
                directory, ".", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path made = hidden.resolve("s");
        try {
            connector.setUnixDomainPath(made);
            server.start();
            PosixFileAttributeView attributes = Files.getFileAttributeView(made, PosixFileAttributeView.class);
            setGroup(attributes);
            attributes.setPermissions(PosixFilePermissions.fromString("rw-rw----"));
            Files.move(made, socket, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(made);
            Files.deleteIfExists(hidden);
        }
    }

    private void setGroup(PosixFileAttributeView attributes) throws IOException {
        try {
            GroupPrincipal group =
                    socket.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByGroupName(GROUP);
            attributes.setGroup(group);
        } catch (UserPrincipalNotFoundException e) {
            LOG.debug("no group {}", GROUP);
        } catch (java.nio.file.FileSystemException e) {
            LOG.warn("{} keeps its group: {}. Only its owner and root may use it.", socket, e.getMessage());
        }
    }

    /** Ends running requests and jobs, removes the socket. */
    @Override
    public void close() {
        jobs.close();
        try {
            server.stop();
            Files.deleteIfExists(socket);
        } catch (Exception e) {
            LOG.warn("management socket not closed in order: {}", e.toString());
        }
    }
}
