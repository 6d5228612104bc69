package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import org.agrona.DirectBuffer;

/**
 * Frames over TLS 1.3 over TCP, to a peer whose certificate is pinned.
 *
 * <p>Invariant: nothing is sent or handed out before the peer has proven that it holds the key of an allowed certificate.
 *
 * <p>Sealing and opening run on the caller's threads; one thread may receive while others send.
 */
public final class TlsChannel implements FrameChannel {
    private final TimedSocket socket;
    private final Identity identity;
    private final PinnedTrust trust;
    private final SSLEngine engine;
    private final TlsSender sender;
    private final TlsReceiver receiver;
    private final ReentrantLock receiving = new ReentrantLock();
    private final AtomicReference<String> closedWhy = new AtomicReference<>();
    /** Closing in order: nothing is sent any more, and the rest of what the peer sends is read. */
    private volatile boolean ending;

    private TlsChannel(
            TimedSocket socket, Identity identity, Set<String> allowed, boolean client, LinkTimeouts timeouts) {
        this.socket = socket;
        this.identity = identity;
        trust = new PinnedTrust(allowed);
        engine = TlsEngine.create(identity, trust, client);
        sender = new TlsSender(socket, engine, timeouts.sendMs());
        receiver = new TlsReceiver(socket, engine);
    }

    /**
     * Makes an authenticated channel of a connection. On an error the socket is closed.
     *
     * @param allowed fingerprints, one of which the peer must prove
     * @param client whether this side connected
     */
    static TlsChannel open(
            TimedSocket socket, Identity identity, Set<String> allowed, boolean client, LinkTimeouts timeouts)
            throws LinkException {
        TlsChannel channel = new TlsChannel(socket, identity, allowed, client, timeouts);
        new TlsHandshake(socket, channel.engine, channel.sender, channel.receiver, channel.trust, timeouts).run();
        return channel;
    }

    @Override
    public void send(DirectBuffer message, int offset, int length) throws LinkException {
        checkSendable();
        try {
            sender.send(message, offset, length);
        } catch (IOException e) {
            checkSendable();
            throw failed(e);
        } catch (LinkException e) {
            checkSendable();
            throw failed(e);
        }
    }

    @Override
    public void flush() throws LinkException {
        checkSendable();
        try {
            sender.flush();
        } catch (IOException e) {
            checkSendable();
            throw failed(e);
        } catch (LinkException e) {
            checkSendable();
            throw failed(e);
        }
    }

    @Override
    public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
        receiving.lock();
        try {
            checkOpen();
            return receiver.receive(handler, timeoutMs);
        } catch (IOException e) {
            throw failed(e);
        } catch (LinkException e) {
            throw failed(e);
        } finally {
            receiving.unlock();
        }
    }

    @Override
    public long lastReceivedNs() {
        return receiver.lastReceivedNs();
    }

    @Override
    public long sentBytes() {
        return sender.sentBytes();
    }

    @Override
    public String peerFingerprint() {
        return trust.presented();
    }

    /** Address and port of the peer, for messages; any thread. */
    public String remote() {
        return socket.remote();
    }

    @Override
    public void closeInOrder(FrameHandler rest, long timeoutMs) {
        long deadlineNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        try {
            flush();
            ending = true;
            sender.closeNotify();
            socket.shutdownOutput();
            // To close while the peer still sends would answer it with an RST, which overtakes what we sent.
            for (long leftNs = deadlineNs - System.nanoTime(); leftNs > 0; leftNs = deadlineNs - System.nanoTime()) {
                receive(rest, Math.max(1, TimeUnit.NANOSECONDS.toMillis(leftNs)));
            }
        } catch (IOException | LinkException e) {
            // The peer has closed, or is gone: there is nobody to be in order with.
        } finally {
            close();
        }
    }

    @Override
    public void close() {
        closeBecause("closed by this agent");
    }

    private void closeBecause(String why) {
        if (closedWhy.compareAndSet(null, why)) {
            sender.closeNotify();
            socket.close();
        }
    }

    private void checkOpen() throws LinkException {
        String why = closedWhy.get();
        if (why != null) {
            throw new LinkException(
                    Kind.CLOSED, "link-closed", "the connection to " + socket.remote() + " is closed: " + why);
        }
    }

    /** What another thread cannot send any more must not end what the peer still says. */
    private void checkSendable() throws LinkException {
        checkOpen();
        if (ending) {
            throw new LinkException(
                    Kind.CLOSED,
                    "link-closed",
                    "the connection to " + socket.remote() + " is being closed by this agent");
        }
    }

    private LinkException failed(LinkException e) {
        closeBecause(String.valueOf(e.getMessage()));
        return e;
    }

    private LinkException failed(IOException e) throws LinkException {
        checkOpen();
        LinkException reason = reason(e);
        closeBecause(String.valueOf(reason.getMessage()));
        return reason;
    }

    private LinkException reason(IOException e) {
        String text = String.valueOf(e.getMessage());
        if (!(e instanceof SSLException)) {
            return new LinkException(
                    Kind.CLOSED, "link-closed", "the connection to " + socket.remote() + " broke: " + text, e);
        }
        // JDK 21 and newer put the alert's name before it in parentheses.
        int alert = text.indexOf("Received fatal alert");
        if (alert < 0) {
            return new LinkException(
                    Kind.CORRUPT, "tls-record", "TLS record from " + socket.remote() + " is wrong: " + text, e);
        }
        if (receiver.hasReceived()) {
            return new LinkException(
                    Kind.CLOSED, "link-closed", "peer " + socket.remote() + " ended the connection: " + text, e);
        }
        return new LinkException(
                Kind.AUTHENTICATION,
                "peer-refused-identity",
                "peer " + socket.remote() + " refused this host's certificate " + identity.fingerprint() + ": "
                        + text.substring(alert) + ". Add this fingerprint to the peer's configuration.",
                e);
    }
}
