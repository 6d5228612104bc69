package io.lockstep.replication.protection;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntFunction;
import java.util.function.IntSupplier;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps one VM's session with its peer: dials, says hello, receives, sends heartbeats, and dials again when the session ends.
 * Two threads of its own; what comes in goes to the {@link Listener} on the receiving one.
 */
final class PeerSession implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(PeerSession.class);

    /** The peer reserves the replica's memory before it answers: 64 GiB of tmpfs take it about 15 s. */
    private static final long HELLO_TIMEOUT_MS = 30_000;

    /** What a session tells; each call returns at once. */
    interface Listener {
        /** The peer accepted: epochs may be sent on this channel from now on. */
        void established(FrameChannel channel, SessionReply reply);

        /** The peer holds the epoch. */
        void acknowledged(long epoch, long appliedEpoch, long journalBytes, long journalEpochs, long nowNs);

        /** Anything else that the peer says. */
        void message(ControlMessage message);

        /** The channel is closed; a new one comes by itself unless the refusal is final. */
        void ended(LockstepException cause);
    }

    private final String vmName;
    private final PeerAddress peer;
    private final LinkDialer dialer;
    private final IntFunction<SessionHello> hello;
    private final ProtectionSettings settings;
    private final Listener listener;
    private final FrameHandler dispatcher = new SessionDispatcher(new Incoming());
    private final FrameHandler timed = this::incoming;
    private final DutyCycle receiving = DutyCycle.idle();
    private final DutyCycle keeping = DutyCycle.idle();
    private final Thread receiver;
    private final Thread keeper;
    private volatile @Nullable FrameChannel channel;
    private volatile boolean closed;
    /** How long the present connection may take to end; 0: it is cut. */
    private volatile long orderlyMs;

    private volatile boolean standbyReady;
    private final IntSupplier ownHealth;
    private final ReportedHealth peerHealth = new ReportedHealth();
    private @Nullable SessionReply reply;
    /** Of the protocol, in the next Hello. */
    private int version = ProtocolVersion.PROTOCOL_VERSION;
    /** What the next Hello says, if the peer closed without an answer to a newer version; else 0. */
    private int older;

    private boolean endReported;

    /**
     * @param hello what is said in a version of the protocol
     * @param ownHealth of this host's hardware, as in {@link ReportedHealth}; must not wait
     */
    PeerSession(
            String vmName,
            PeerAddress peer,
            LinkDialer dialer,
            IntFunction<SessionHello> hello,
            IntSupplier ownHealth,
            ProtectionSettings settings,
            Listener listener) {
        this.vmName = vmName;
        this.peer = peer;
        this.dialer = dialer;
        this.hello = hello;
        this.ownHealth = ownHealth;
        this.settings = settings;
        this.listener = listener;
        this.receiver = new Thread(this::receive, "session-" + vmName);
        this.keeper = new Thread(this::keepAlive, "heartbeat-" + vmName);
        receiver.setDaemon(true);
        keeper.setDaemon(true);
    }

    void start() {
        receiver.start();
        keeper.start();
    }

    /** Time of the peer's last bytes, or 0 without a connection. */
    long lastReceivedNs() {
        FrameChannel current = channel;
        return current == null ? 0 : current.lastReceivedNs();
    }

    /** Whether the peer's last answer to a heartbeat said that its standby waits. */
    boolean standbyReady() {
        return standbyReady;
    }

    /** How the peer's hardware fares by its last answer, which is not older than the silence after which it counts as dead. Any thread. */
    int peerHealth() {
        return peerHealth.code(System.nanoTime(), settings.failureTimeoutMs() * 1_000_000L);
    }

    /** How regularly the thread comes round that receives. */
    DutyCycle receiving() {
        return receiving;
    }

    /** How regularly the thread comes round that sends heartbeats. */
    DutyCycle keeping() {
        return keeping;
    }

    /** Ends the present connection; the next one is dialled by itself. Any thread. */
    void drop() {
        FrameChannel current = channel;
        if (current != null) {
            current.close();
        }
    }

    /**
     * Ends the session so that the peer reads all that was sent; what it says to it still goes to the listener. Any thread but the receiving one.
     *
     * @param timeoutMs the peer has closed in this time, or the connection is cut
     */
    void closeInOrder(long timeoutMs) {
        orderlyMs = timeoutMs;
        closed = true;
        try {
            if (channel != null) {
                // It looks up once a heartbeat.
                receiver.join(timeoutMs + 2L * settings.heartbeatMs());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            close();
        }
    }

    @Override
    public void close() {
        closed = true;
        drop();
        LockSupport.unpark(receiver);
        LockSupport.unpark(keeper);
    }

    private void receive() {
        while (!closed) {
            try (FrameChannel connected = dialer.dial(peer.address(), peer.fingerprint())) {
                SessionReply accepted = sayHello(connected);
                if (accepted == null) {
                    continue;
                }
                channel = connected;
                endReported = false;
                listener.established(connected, accepted);
                while (!closed) {
                    long nowNs = System.nanoTime();
                    receiving.mark(nowNs, nowNs + heartbeatNs());
                    if (!connected.receive(timed, settings.heartbeatMs())) {
                        checkSilence(connected);
                    }
                }
                receiving.rest(System.nanoTime());
                if (orderlyMs > 0) {
                    connected.closeInOrder(dispatcher, orderlyMs);
                }
            } catch (LockstepException e) {
                receiving.rest(System.nanoTime());
                channel = null;
                version = older > 0 ? older : ProtocolVersion.PROTOCOL_VERSION;
                older = 0;
                report(e);
                listener.ended(e);
            }
            channel = null;
            if (!closed) {
                LockSupport.parkNanos(this, settings.reconnectMs() * 1_000_000L);
            }
        }
    }

    /** Its round begins when the message is here, not when it was awaited. */
    private void incoming(DirectBuffer buffer, int offset, int length) throws LinkException {
        receiving.mark(System.nanoTime());
        dispatcher.onFrame(buffer, offset, length);
    }

    /** @return null if the peer speaks an older version, which the next Hello says */
    private @Nullable SessionReply sayHello(FrameChannel connected) throws LockstepException {
        HelloCodec.send(connected, hello.apply(version));
        reply = null;
        if (!answered(connected)) {
            throw new LinkException(
                    LinkException.Kind.TIMEOUT,
                    "peer-silent",
                    "peer " + peer.name() + " did not answer the hello within " + HELLO_TIMEOUT_MS
                            + " ms: see its log for what it waits for");
        }
        SessionReply received = Objects.requireNonNull(reply);
        if (received.code().equals(ProtocolVersion.TOO_NEW)
                && received.protocolVersion() < version
                && received.protocolVersion() >= ProtocolVersion.PROTOCOL_VERSION_MIN) {
            version = received.protocolVersion();
            return null;
        }
        return switch (received.status()) {
            case RESUME, FULL -> received;
            case PROMOTED ->
                throw new LinkException(
                        LinkException.Kind.REFUSED,
                        "peer-promoted",
                        "the peer already runs this VM from epoch " + received.committedEpoch()
                                + ": end the QEMU here, then protect the VM from there");
            default -> throw new LinkException(LinkException.Kind.REFUSED, received.code(), received.cause());
        };
    }

    private boolean answered(FrameChannel connected) throws LinkException {
        try {
            return connected.receive((b, o, n) -> reply = HelloCodec.decodeReply(b, o, n), HELLO_TIMEOUT_MS);
        } catch (LinkException e) {
            // So do agents of version 1 when they are told of a newer one.
            if (e.kind() == LinkException.Kind.CLOSED && version > ProtocolVersion.PROTOCOL_VERSION_MIN) {
                older = version - 1;
            }
            throw e;
        }
    }

    private void checkSilence(FrameChannel connected) throws LinkException {
        long silentMs = (System.nanoTime() - connected.lastReceivedNs()) / 1_000_000;
        if (silentMs > settings.failureTimeoutMs()) {
            throw new LinkException(
                    LinkException.Kind.TIMEOUT,
                    "peer-silent",
                    "no byte from peer " + peer.name() + " for " + silentMs + " ms > failureTimeoutMs "
                            + settings.failureTimeoutMs());
        }
    }

    /** Once per kind of trouble, not once per attempt. */
    private void report(LockstepException e) {
        if (!closed && !endReported) {
            endReported = true;
            LOG.warn("{}: session with peer {} ended: {} ({})", vmName, peer.name(), e.getMessage(), e.code());
        }
    }

    private void keepAlive() {
        FrameChannel last = null;
        LiveSender sender = null;
        while (!closed) {
            keeping.mark(System.nanoTime());
            FrameChannel current = channel;
            if (current != null) {
                if (sender == null || current != last) {
                    last = current;
                    sender = new LiveSender(current);
                }
                try {
                    sender.heartbeat(System.nanoTime(), ownHealth.getAsInt());
                } catch (LinkException e) {
                    LOG.debug("{}: heartbeat not sent: {}", vmName, e.getMessage());
                }
            }
            long nowNs = System.nanoTime();
            keeping.mark(nowNs, nowNs + heartbeatNs());
            LockSupport.parkNanos(this, heartbeatNs());
        }
        keeping.rest(System.nanoTime());
    }

    private long heartbeatNs() {
        return settings.heartbeatMs() * 1_000_000L;
    }

    /** On the receiving thread. */
    private final class Incoming implements SessionHandler {
        @Override
        public void onHeartbeatReply(long sentNs, boolean ready, int health) {
            standbyReady = ready;
            peerHealth.said(health, System.nanoTime());
        }

        @Override
        public void onEpochAck(long epoch, long appliedEpoch, long journalBytes, long journalEpochs) {
            listener.acknowledged(epoch, appliedEpoch, journalBytes, journalEpochs, System.nanoTime());
        }

        @Override
        public void onControl(ControlMessage message) {
            listener.message(message);
        }
    }
}
