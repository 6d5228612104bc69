package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** The handshake of one connection, with a deadline. Closes the socket if it fails. For one thread. */
final class TlsHandshake {
    /** How long a refused peer may take to read why, before the connection is cut: one round trip of a long line. */
    private static final long LINGER_MS = 250;

    private final TimedSocket socket;
    private final SSLEngine engine;
    private final TlsSender sender;
    private final TlsReceiver receiver;
    private final PinnedTrust trust;
    private final LinkTimeouts timeouts;

    TlsHandshake(
            TimedSocket socket,
            SSLEngine engine,
            TlsSender sender,
            TlsReceiver receiver,
            PinnedTrust trust,
            LinkTimeouts timeouts) {
        this.socket = socket;
        this.engine = engine;
        this.sender = sender;
        this.receiver = receiver;
        this.trust = trust;
        this.timeouts = timeouts;
    }

    void run() throws LinkException {
        boolean done = false;
        try {
            steps();
            done = true;
        } catch (SSLException e) {
            explain();
            throw refusal(e);
        } catch (IOException e) {
            throw new LinkException(
                    Kind.CLOSED,
                    "link-closed",
                    "the connection to " + socket.remote() + " broke in the TLS handshake: " + e.getMessage(),
                    e);
        } finally {
            if (!done) {
                socket.close();
            }
        }
    }

    private void steps() throws IOException, LinkException {
        long deadlineNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeouts.handshakeMs());
        engine.beginHandshake();
        @Nullable HandshakeStatus status = engine.getHandshakeStatus();
        while (status != HandshakeStatus.FINISHED && status != HandshakeStatus.NOT_HANDSHAKING) {
            if (status == null || System.nanoTime() - deadlineNs > 0) {
                throw new LinkException(
                        Kind.TIMEOUT,
                        "link-handshake-timeout",
                        "no TLS handshake with " + socket.remote() + " within " + timeouts.handshakeMs() + " ms");
            }
            status = switch (status) {
                case NEED_TASK -> runTasks();
                case NEED_WRAP -> sender.handshake(deadlineNs);
                default -> receiver.handshake(deadlineNs);
            };
        }
        engine.getSession().invalidate();
        sender.authenticated();
        receiver.authenticated();
    }

    private HandshakeStatus runTasks() {
        Runnable task = engine.getDelegatedTask();
        while (task != null) {
            task.run();
            task = engine.getDelegatedTask();
        }
        return engine.getHandshakeStatus();
    }

    /** Lets the peer know why, as far as that is possible in a bounded time. */
    private void explain() {
        try {
            sender.closeNotify();
            socket.shutdownOutput();
            receiver.drain(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LINGER_MS));
        } catch (IOException e) {
            // The peer does not want to know.
        }
    }

    private LinkException refusal(SSLException e) {
        if (trust.refused() && !trust.presented().isEmpty()) {
            return new LinkException(
                    Kind.AUTHENTICATION,
                    "peer-identity",
                    "peer " + socket.remote() + " has certificate " + trust.presented() + ", allowed: "
                            + trust.allowedText()
                            + ". If this is the right host, put what 'lockstep identity' prints there into this host's"
                            + " configuration; if not, somebody else answers at its address.",
                    e);
        }
        return new LinkException(
                Kind.AUTHENTICATION,
                "link-handshake",
                "TLS 1.3 handshake with " + socket.remote() + " failed: " + e.getMessage(),
                e);
    }
}
