package io.lockstep.replication.link;

import io.lockstep.replication.wire.EpochAckEncoder;
import io.lockstep.replication.wire.HeartbeatEncoder;
import io.lockstep.replication.wire.HeartbeatReplyEncoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import org.agrona.concurrent.UnsafeBuffer;

/** Sends and flushes the messages that come again and again. For one thread; allocates nothing. */
public final class LiveSender {
    /** The longest of these, an EpochAck, has 40 bytes with its header. */
    private static final int BUFFER_BYTES = 64;

    private final FrameChannel channel;
    private final UnsafeBuffer buffer = new UnsafeBuffer(new byte[BUFFER_BYTES]);
    private final MessageHeaderEncoder header = new MessageHeaderEncoder();
    private final HeartbeatEncoder heartbeat = new HeartbeatEncoder();
    private final HeartbeatReplyEncoder heartbeatReply = new HeartbeatReplyEncoder();
    private final EpochAckEncoder epochAck = new EpochAckEncoder();

    public LiveSender(FrameChannel channel) {
        this.channel = channel;
    }

    /**
     * @param sentNs the sender's {@link System#nanoTime()}, which comes back in the reply
     * @param health of this host's hardware, as in {@link ReportedHealth}
     */
    public void heartbeat(long sentNs, int health) throws LinkException {
        heartbeat.wrapAndApplyHeader(buffer, 0, header).sentNs(sentNs).health((short) health);
        send(heartbeat.encodedLength());
    }

    /**
     * @param sentNs of the heartbeat that this answers
     * @param health of this host's hardware, as in {@link ReportedHealth}
     */
    public void heartbeatReply(long sentNs, boolean standbyReady, int health) throws LinkException {
        heartbeatReply
                .wrapAndApplyHeader(buffer, 0, header)
                .sentNs(sentNs)
                .standbyReady((short) (standbyReady ? 1 : 0))
                .health((short) health);
        send(heartbeatReply.encodedLength());
    }

    /** Says that the peer holds an epoch. */
    public void epochAck(long epoch, long appliedEpoch, long journalBytes, long journalEpochs) throws LinkException {
        epochAck.wrapAndApplyHeader(buffer, 0, header)
                .epoch(epoch)
                .appliedEpoch(appliedEpoch)
                .journalBytes(journalBytes)
                .journalEpochs(journalEpochs);
        send(epochAck.encodedLength());
    }

    private void send(int bodyBytes) throws LinkException {
        channel.send(buffer, 0, MessageHeaderEncoder.ENCODED_LENGTH + bodyBytes);
        channel.flush();
    }
}
