package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.HeartbeatDecoder;
import io.lockstep.replication.wire.HeartbeatReplyDecoder;
import io.lockstep.replication.wire.HelloDecoder;
import io.lockstep.replication.wire.HelloReplyDecoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.VerifyHashesDecoder;
import org.agrona.DirectBuffer;

/**
 * Gives each message of an established session to the right method of a {@link SessionHandler}. For one thread; allocates nothing for heartbeats,
 * acknowledgements and the stream.
 */
public final class SessionDispatcher implements FrameHandler {
    private final SessionHandler handler;
    private final MessageHeaderDecoder header = new MessageHeaderDecoder();
    private final HeartbeatDecoder heartbeat = new HeartbeatDecoder();
    private final HeartbeatReplyDecoder heartbeatReply = new HeartbeatReplyDecoder();
    private final EpochAckDecoder epochAck = new EpochAckDecoder();

    public SessionDispatcher(SessionHandler handler) {
        this.handler = handler;
    }

    @Override
    public void onFrame(DirectBuffer buffer, int offset, int length) throws LinkException {
        int template = MessageShape.check(buffer, offset, length);
        switch (template) {
            case PageBatchDecoder.TEMPLATE_ID,
                    EpochBeginDecoder.TEMPLATE_ID,
                    EpochEndDecoder.TEMPLATE_ID,
                    VerifyHashesDecoder.TEMPLATE_ID -> handler.onStream(template, buffer, offset, length);
            case HeartbeatDecoder.TEMPLATE_ID -> {
                heartbeat.wrapAndApplyHeader(buffer, offset, header);
                handler.onHeartbeat(heartbeat.sentNs(), heartbeat.health());
            }
            case HeartbeatReplyDecoder.TEMPLATE_ID -> {
                heartbeatReply.wrapAndApplyHeader(buffer, offset, header);
                handler.onHeartbeatReply(
                        heartbeatReply.sentNs(), heartbeatReply.standbyReady() != 0, heartbeatReply.health());
            }
            case EpochAckDecoder.TEMPLATE_ID -> {
                epochAck.wrapAndApplyHeader(buffer, offset, header);
                handler.onEpochAck(
                        epochAck.epoch(), epochAck.appliedEpoch(), epochAck.journalBytes(), epochAck.journalEpochs());
            }
            case HelloDecoder.TEMPLATE_ID, HelloReplyDecoder.TEMPLATE_ID ->
                throw new LinkException(
                        Kind.CORRUPT, "message-unexpected", "a second Hello or HelloReply in one session");
            default -> handler.onControl(ControlCodec.decode(buffer, offset, length));
        }
    }
}
