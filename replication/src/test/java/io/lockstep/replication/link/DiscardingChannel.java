package io.lockstep.replication.link;

import org.agrona.DirectBuffer;

/** A link without a peer: counts what is sent. One thread. */
public final class DiscardingChannel implements FrameChannel {
    private long bytes;

    @Override
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
