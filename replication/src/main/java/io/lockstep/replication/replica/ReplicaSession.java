package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.link.SessionHello;
import java.io.IOException;
import java.net.NoRouteToHostException;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.agrona.DirectBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection of a primary, from its accepted Hello to its end. One thread, but for {@link #send}, {@link #end} and {@link #stillHere}.
 *
 * <p>Heartbeats come in turn with the stream. While one message of the stream takes long, because the disk does or the applier is behind, a second
 * thread says in the place of the first that this host is here: silence shall mean that it is not. For so long only: a session that hangs falls
 * silent.
 */
final class ReplicaSession implements SessionHandler, EpochReceiver.AckSink {
    private static final Logger LOG = LoggerFactory.getLogger(ReplicaSession.class);
    private static final long WAIT_MS_MAX = 20; // silence is noticed this much late, and a switch of sessions too
    private static final long IDLE_NS = Long.MIN_VALUE; // no message of the stream is being taken
    private static final long STILL_HERE_NS_MAX =
            10_000_000_000L; // a disk that takes longer for one message is as good as dead
    private static final int STILL_HERE_PART = 4; // three may be late before failureTimeoutMs
    private static final long DRAIN_MESSAGES_MAX = 1 << 20; // more than any socket buffer holds

    private final Replica replica;
    private final FrameChannel channel;
    private final SessionDispatcher dispatcher = new SessionDispatcher(this);
    private final LiveSender live;
    private final LiveSender liveBeside;
    private final ReportedHealth health = new ReportedHealth();
    private final long healthNsMax;
    private final long waitMs;
    private DrillReport toldDrill = new DrillReport(0, DrillReport.NONE, "");
    private volatile long busySinceNs = IDLE_NS;
    private volatile long lastHeartbeatNs;
    private volatile boolean standbyReady;
    private volatile boolean ended;

    ReplicaSession(Replica replica, FrameChannel channel, SessionHello hello) {
        this.replica = replica;
        healthNsMax = hello.failureTimeoutMs() * 1_000_000L;
        this.channel = channel;
        live = new LiveSender(channel);
        liveBeside = new LiveSender(channel);
        waitMs = Math.max(1, Math.min(WAIT_MS_MAX, hello.failureTimeoutMs() / 8));
    }

    long lastReceivedNs() {
        return channel.lastReceivedNs();
    }

    /** How the primary's hardware fares by its last heartbeat, as in {@link ReportedHealth}. Any thread. */
    int primaryHealth() {
        return health.code(replica.nowNs(), healthNsMax);
    }

    /** Serves the connection until it ends. */
    void run(LongSupplier nowNs) {
        Thread beside = new Thread(() -> beside(nowNs), "replica-live-" + replica.vm());
        beside.setDaemon(true);
        beside.start();
        try {
            while (!ended) {
                long roundNs = nowNs.getAsLong();
                replica.sessionRounds().mark(roundNs);
                poll(waitMs, roundNs);
            }
        } catch (LinkException e) {
            onLinkException(e);
            while (!ended) { // a host that cannot be reached: the silence goes on without a connection
                LockSupport.parkNanos(this, waitMs * 1_000_000);
                long roundNs = nowNs.getAsLong();
                replica.sessionRounds().mark(roundNs);
                replica.quiet(this, roundNs);
            }
        } finally {
            ended = true;
            replica.sessionRounds().rest(nowNs.getAsLong());
            LockSupport.unpark(beside);
            channel.close();
            // Told by whom ended it, or else now: a session that is gone must not count as one.
            replica.closed(this, "the session was ended");
        }
    }

    private void beside(LongSupplier nowNs) {
        long waitNs = healthNsMax / STILL_HERE_PART;
        while (!ended) {
            long roundNs = nowNs.getAsLong();
            replica.liveRounds().mark(roundNs);
            stillHere(roundNs);
            long doneNs = nowNs.getAsLong();
            replica.liveRounds().mark(doneNs, doneNs + waitNs);
            LockSupport.parkNanos(this, waitNs);
        }
        replica.liveRounds().rest(nowNs.getAsLong());
    }

    /** Answers in the place of the session's thread if that has been busy with one message; one thread, which waits for no lock of the replica. */
    void stillHere(long nowNs) {
        long sinceNs = busySinceNs;
        long busyNs = nowNs - sinceNs;
        if (sinceNs == IDLE_NS || busyNs < healthNsMax / STILL_HERE_PART || busyNs > STILL_HERE_NS_MAX) {
            return;
        }
        try {
            liveBeside.heartbeatReply(
                    lastHeartbeatNs, standbyReady, replica.condition().health());
        } catch (LinkException e) {
            LOG.debug("{}: not said that this host is here: {}", replica.vm(), e.getMessage());
        }
    }

    /** Takes at most one message; tells the replica if there was none. */
    boolean poll(long timeoutMs, long nowNs) throws LinkException {
        boolean received = channel.receive(dispatcher, timeoutMs);
        if (received) {
            replica.heard(this);
        } else if (!ended) {
            replica.quiet(this, nowNs);
        }
        return received;
    }

    /** The connection failed: ends the session, or leaves it open, silent, if the host cannot be reached. */
    void onLinkException(LinkException e) {
        if (ended) {
            return;
        }
        if (e.kind() == Kind.TIMEOUT || unreachable(e)) {
            LOG.warn("{}: {}", replica.vm(), e.getMessage());
            return;
        }
        ended = true;
        if (e.kind() != Kind.CLOSED) {
            replica.sessionError(channel, e.code(), String.valueOf(e.getMessage()));
            send(new LinkError(e.code(), String.valueOf(e.getMessage())));
        }
        channel.close();
        replica.closed(this, String.valueOf(e.getMessage()));
    }

    /** Takes what the host sent before it was fenced. */
    void drain() {
        try {
            long messages = 0;
            while (!ended && messages++ < DRAIN_MESSAGES_MAX && channel.receive(dispatcher, 0)) {
                LOG.debug("{}: one more message of the fenced host", replica.vm());
            }
        } catch (LinkException e) {
            LOG.debug("{}: connection of the fenced host ended: {}", replica.vm(), e.getMessage());
        }
    }

    /** Sends and forgets: a connection that fails is noticed by the session's thread. Any thread. */
    void send(ControlMessage message) {
        try {
            ControlCodec.send(channel, message);
        } catch (LinkException e) {
            LOG.debug("{}: {} not sent: {}", replica.vm(), message, e.getMessage());
        }
    }

    /** Says that the guest runs here, and ends. */
    void promoted(long epoch, long tookNs) {
        send(new Promoted(epoch, tookNs));
        end();
    }

    /** Whether it was ended, by whomever; any thread. */
    boolean ended() {
        return ended;
    }

    /** Ends the session; any thread. */
    void end() {
        ended = true;
        channel.close();
    }

    @Override
    public void ack(long epoch, long appliedEpoch) throws LinkException {
        ReplicaStore.Content content = replica.content();
        long bytes = content == null ? 0 : content.journal().bytes();
        long epochs = content == null ? 0 : content.journal().epochCount();
        live.epochAck(epoch, appliedEpoch, bytes, epochs);
    }

    @Override
    public void onHeartbeat(long sentNs, int primaryHealth) throws LinkException {
        health.said(primaryHealth, replica.nowNs());
        lastHeartbeatNs = sentNs;
        standbyReady = replica.standbyReady();
        live.heartbeatReply(sentNs, standbyReady, replica.condition().health());
        DrillReport drill = replica.drillReport();
        if (!drill.equals(toldDrill)) {
            toldDrill = drill;
            ControlCodec.send(channel, drill);
        }
        LinkError failure = replica.takeStandbyFailure();
        if (failure != null) {
            ControlCodec.send(channel, failure);
        }
    }

    @Override
    public void onStream(int templateId, DirectBuffer buffer, int offset, int length) throws LinkException {
        busySinceNs = replica.nowNs();
        try {
            replica.stream(this, templateId, buffer, offset, length);
        } finally {
            busySinceNs = IDLE_NS;
        }
    }

    @Override
    public void onControl(ControlMessage message) throws LinkException {
        if (message instanceof VmDied died) {
            replica.vmDied(this, died);
        } else if (message instanceof Goodbye goodbye) {
            replica.goodbye(this, goodbye.reason());
        } else if (message instanceof Released released) {
            release(released);
        } else if (message instanceof SwitchoverPrepare prepare) {
            ControlCodec.send(channel, replica.switchoverPrepare(this, prepare.epoch()));
        } else if (message instanceof SwitchoverCommit commit) {
            replica.switchoverCommit(this, commit.epoch());
        } else if (message instanceof SwitchoverAbort abort) {
            replica.switchoverAbort(this, abort.reason());
        } else if (message instanceof LinkError error) {
            throw new LinkException(Kind.REFUSED, error.code(), "the primary ended the session: " + error.cause());
        } else {
            SessionHandler.super.onControl(message);
        }
    }

    private void release(Released released) throws LinkException {
        try {
            replica.released(this, released.discard(), released.reason());
            end();
        } catch (LockstepException e) {
            throw new LinkException(Kind.REFUSED, e.code(), String.valueOf(e.getMessage()), e);
        }
    }

    /** Whether the network, not the other host, ended the connection: a host that lives closes or resets it. */
    private static boolean unreachable(LinkException e) {
        if (e.kind() != Kind.CLOSED || !(e.getCause() instanceof IOException cause)) {
            return false;
        }
        String text = String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT);
        return cause instanceof NoRouteToHostException
                || text.contains("timed out")
                || text.contains("unreachable")
                || text.contains("no route");
    }
}
