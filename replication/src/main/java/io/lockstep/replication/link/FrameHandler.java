package io.lockstep.replication.link;

import org.agrona.DirectBuffer;

/** Takes one message off a {@link FrameChannel}. */
@FunctionalInterface
public interface FrameHandler {
    /** The buffer holds an SBE message header and body; it is valid during the call only. */
    void onFrame(DirectBuffer buffer, int offset, int length) throws LinkException;
}
