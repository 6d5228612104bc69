package io.lockstep.replication.replica;

import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import io.lockstep.replication.link.LinkException;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** A connection over two pipes: a length and a message, again and again. Receiving blocks for as long as nothing comes. */
final class StreamChannel implements FrameChannel {
    private final DataInputStream in;
    private final DataOutputStream out;
    private final byte[] sending = new byte[1 << 20];
    private byte[] message = new byte[1 << 20];

    StreamChannel(InputStream in, OutputStream out) {
        this.in = new DataInputStream(in);
        this.out = new DataOutputStream(out);
    }

    /** Whether bytes wait. */
    boolean waiting() throws LinkException {
        try {
            return in.available() > 0;
        } catch (IOException e) {
            throw closed(e);
        }
    }

    @Override
    public synchronized void send(DirectBuffer buffer, int offset, int length) throws LinkException {
        try {
            buffer.getBytes(offset, sending, 0, length);
            out.writeInt(length);
            out.write(sending, 0, length);
        } catch (IOException e) {
            throw closed(e);
        }
    }

    @Override
    public synchronized void flush() throws LinkException {
        try {
            out.flush();
        } catch (IOException e) {
            throw closed(e);
        }
    }

    @Override
    public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
        int length;
        try {
            length = in.readInt();
            in.readFully(message, 0, length);
        } catch (IOException e) {
            throw closed(e);
        }
        handler.onFrame(new UnsafeBuffer(message), 0, length);
        return true;
    }

    private static LinkException closed(IOException e) {
        return new LinkException(LinkException.Kind.CLOSED, "link-closed", "the pipe ended: " + e);
    }

    @Override
    public long lastReceivedNs() {
        return System.nanoTime();
    }

    @Override
    public long sentBytes() {
        return 0;
    }

    @Override
    public String peerFingerprint() {
        return "sha256:" + "0".repeat(64);
    }

    @Override
    public void close() {
        // The pipes end with the process.
    }
}
