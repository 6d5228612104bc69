package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import org.agrona.DirectBuffer;

/**
 * What one side of a session does with each message, called by a {@link SessionDispatcher} on the receiving thread. A message that this side does
 * not expect ends the connection: {@code message-unexpected}.
 */
public interface SessionHandler {
    /**
     * The peer asks whether this side lives.
     *
     * @param health of its hardware, as in {@link ReportedHealth}
     */
    default void onHeartbeat(long sentNs, int health) throws LinkException {
        throw unexpected("Heartbeat");
    }

    /**
     * The answer to this side's heartbeat.
     *
     * @param health of the peer's hardware, as in {@link ReportedHealth}
     */
    default void onHeartbeatReply(long sentNs, boolean standbyReady, int health) throws LinkException {
        throw unexpected("HeartbeatReply");
    }

    /** The peer holds the epoch. */
    default void onEpochAck(long epoch, long appliedEpoch, long journalBytes, long journalEpochs) throws LinkException {
        throw unexpected("EpochAck");
    }

    /** One of the rare messages. */
    default void onControl(ControlMessage message) throws LinkException {
        throw unexpected(message.getClass().getSimpleName());
    }

    /** EpochBegin, PageBatch, EpochEnd or VerifyHashes; its shape is proven, its content is not. The buffer is valid during the call only. */
    default void onStream(int templateId, DirectBuffer buffer, int offset, int length) throws LinkException {
        throw unexpected("message type " + templateId);
    }

    private static LinkException unexpected(String what) {
        return new LinkException(Kind.CORRUPT, "message-unexpected", what + " is not expected here");
    }
}
