package io.lockstep.replication.pipeline;

import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.LinkException;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.NanoClock;

/** Hands messages to the session's channel, counts them and learns what a byte costs. The sealer's thread. */
final class Outbox {
    /** Only messages of this size tell the price of a byte; smaller ones tell that of a call. */
    private static final int PRICED_BYTES = 32 << 10;

    private final PipelineControl control;
    private final PipelineCounters counters;
    private final NanoClock clock;

    Outbox(PipelineControl control, PipelineCounters counters, NanoClock clock) {
        this.control = control;
        this.counters = counters;
        this.clock = clock;
    }

    void send(DirectBuffer message, int offset, int length) throws LinkException {
        FrameChannel channel = channel();
        if (length < PRICED_BYTES) {
            channel.send(message, offset, length);
        } else {
            long beganNs = clock.nanoTime();
            channel.send(message, offset, length);
            control.price.sent(length, clock.nanoTime() - beganNs);
        }
        counters.message(length);
    }

    void flush() throws LinkException {
        channel().flush();
    }

    private FrameChannel channel() throws LinkException {
        FrameChannel channel = control.channel();
        if (channel == null) {
            throw new LinkException(
                    LinkException.Kind.CLOSED, "link-closed", "the session ended while a message was due");
        }
        return channel;
    }
}
