package io.lockstep.replication.protection;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.SessionReply;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** What the session's thread has for the capture thread. Acknowledgements allocate nothing: the latest one counts for all before it. */
final class SessionInbox implements PeerSession.Listener {
    /** The rare messages of a session that may wait: a peer that floods us with more is cut off. */
    private static final int MESSAGES_MAX = 256;

    /** A session that can be used. */
    record Established(FrameChannel channel, SessionReply reply) {}

    /** Who acts on an acknowledgement at once, on the session's thread. */
    interface AckListener {
        void acknowledged(long epoch, long nowNs);
    }

    private final AckListener onAck;
    private final Runnable wake;
    private final ConcurrentLinkedQueue<ControlMessage> messages = new ConcurrentLinkedQueue<>();
    private final AtomicReference<@Nullable Established> established = new AtomicReference<>();
    private final AtomicReference<@Nullable LockstepException> ended = new AtomicReference<>();
    private volatile DrillReport drill = new DrillReport(0, DrillReport.NONE, "");
    private volatile long ackedEpoch = -1;
    private volatile long ackedNs;
    private volatile long appliedEpoch = -1;
    private volatile long journalBytes;
    private volatile long journalEpochs;

    /** @param wake wakes the capture thread */
    SessionInbox(AckListener onAck, Runnable wake) {
        this.onAck = onAck;
        this.wake = wake;
    }

    @Override
    public void established(FrameChannel channel, SessionReply reply) {
        messages.clear();
        ended.set(null);
        established.set(new Established(channel, reply));
        wake.run();
    }

    @Override
    public void acknowledged(long epoch, long applied, long bytes, long epochs, long nowNs) {
        appliedEpoch = applied;
        journalBytes = bytes;
        journalEpochs = epochs;
        ackedNs = nowNs;
        ackedEpoch = epoch;
        onAck.acknowledged(epoch, nowNs);
        wake.run();
    }

    @Override
    public void message(ControlMessage message) {
        if (message instanceof DrillReport report) {
            drill = report;
            return;
        }
        if (messages.size() < MESSAGES_MAX) {
            messages.add(message);
            wake.run();
        }
    }

    @Override
    public void ended(LockstepException cause) {
        ended.set(cause);
        wake.run();
    }

    /** The new session, once; null if there is none. */
    @Nullable
    Established takeEstablished() {
        return established.getAndSet(null);
    }

    /** Why the last session ended, once; null if it did not. */
    @Nullable
    LockstepException takeEnded() {
        return ended.getAndSet(null);
    }

    /** The next of the rare messages; null if there is none. */
    @Nullable
    ControlMessage takeMessage() {
        return messages.poll();
    }

    /** What the peer last told of its drills. */
    DrillReport drill() {
        return drill;
    }

    long ackedEpoch() {
        return ackedEpoch;
    }

    long ackedNs() {
        return ackedNs;
    }

    long appliedEpoch() {
        return appliedEpoch;
    }

    long journalBytes() {
        return journalBytes;
    }

    long journalEpochs() {
        return journalEpochs;
    }
}
