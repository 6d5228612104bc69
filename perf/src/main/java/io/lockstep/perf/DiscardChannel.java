package io.lockstep.perf;

import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import org.agrona.DirectBuffer;

/** A link that is infinitely fast: what is left is the cost of the pipeline. */
final class DiscardChannel implements FrameChannel {
    private volatile long bytes;

    @Override
    @SuppressWarnings("NonAtomicVolatileUpdate") // One sender.
    public void send(DirectBuffer message, int offset, int length) {
        bytes += length;
    }

    @Override
    public void flush() {}

    @Override
    public boolean receive(FrameHandler handler, long timeoutMs) {
        return false;
    }

    @Override
    public long lastReceivedNs() {
        return 0;
    }

    @Override
    public long sentBytes() {
        return bytes;
    }

    @Override
    public String peerFingerprint() {
        return "";
    }

    @Override
    public void close() {}
}
