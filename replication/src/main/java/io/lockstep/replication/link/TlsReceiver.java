package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/** The receiving half of a {@link TlsChannel}: bytes to records, records to frames. For one thread. */
final class TlsReceiver {
    /** One read(2) takes up to 16 records of 16 KiB. */
    static final int READ_BYTES = 256 << 10;

    private final TimedSocket socket;
    private final SSLEngine engine;

    /** What the kernel wrote. */
    private ByteBuffer incoming;

    /** The same on the heap, because the JDK's GCM opens records in place and copies direct buffers piecewise. Ready for reading. */
    private ByteBuffer sealed;

    /** Frames in the clear, from {@link #start} to its position. */
    private ByteBuffer frames;

    private FrameReader reader;
    private final int contentBytesMax;
    private int start;
    private volatile long lastReceivedNs = System.nanoTime();

    TlsReceiver(TimedSocket socket, SSLEngine engine) {
        this.socket = socket;
        this.engine = engine;
        contentBytesMax = engine.getSession().getApplicationBufferSize();
        int recordBytesMax = engine.getSession().getPacketBufferSize();
        incoming = ByteBuffer.allocate(recordBytesMax);
        sealed = ByteBuffer.allocate(recordBytesMax).flip();
        frames = ByteBuffer.allocate(contentBytesMax);
        reader = new FrameReader(frames);
    }

    /** Makes room for frames, once the peer has proven who it is: a stranger gets a record's room and no more. */
    void authenticated() {
        incoming = ByteBuffer.allocateDirect(READ_BYTES);
        sealed = ByteBuffer.allocate(READ_BYTES + sealed.capacity()).put(sealed).flip();
        // The longest frame, and as much again as one read may bring.
        frames = ByteBuffer.allocateDirect(FrameLayout.FRAME_BYTES_MAX + READ_BYTES);
        reader = new FrameReader(frames);
    }

    long lastReceivedNs() {
        return lastReceivedNs;
    }

    /** Whether a whole message has ever come. */
    boolean hasReceived() {
        return reader.nextSequence() > 0;
    }

    boolean receive(FrameHandler handler, long timeoutMs) throws IOException, LinkException {
        long deadlineNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        while (true) {
            int length = reader.next(start, frames.position());
            if (length != FrameReader.INCOMPLETE) {
                int message = start + FrameLayout.HEADER_BYTES;
                start = message + length;
                handler.onFrame(reader.buffer(), message, length);
                return true;
            }
            if (unwrap() == null && !fill(deadlineNs - System.nanoTime())) {
                return false;
            }
        }
    }

    /** Opens one message of the handshake; waits for it up to the deadline. Returns null at the deadline. */
    @Nullable
    HandshakeStatus handshake(long deadlineNs) throws IOException, LinkException {
        while (true) {
            HandshakeStatus status = unwrap();
            if (status != null) {
                return status;
            }
            if (!fill(deadlineNs - System.nanoTime())) {
                return null;
            }
        }
    }

    /** Reads and forgets what comes until the peer closes, so that closing our side sends no RST which would overtake what we sent. */
    void drain(long deadlineNs) throws IOException {
        long waitNs = deadlineNs - System.nanoTime();
        while (waitNs > 0 && socket.read(incoming.clear(), waitNs) != TimedSocket.END) {
            waitNs = deadlineNs - System.nanoTime();
        }
    }

    /** Opens one record. Returns null if none is whole. */
    private @Nullable HandshakeStatus unwrap() throws IOException, LinkException {
        if (!sealed.hasRemaining()) {
            return null;
        }
        if (start == frames.position()) {
            frames.clear();
            start = 0;
        } else if (frames.remaining() < contentBytesMax) {
            frames.flip().position(start);
            frames.compact();
            start = 0;
        }
        SSLEngineResult result = engine.unwrap(sealed, frames);
        switch (result.getStatus()) {
            case OK -> {
                return result.getHandshakeStatus();
            }
            case BUFFER_UNDERFLOW -> {
                return null;
            }
            case CLOSED -> {
                reader.end(start, frames.position());
                throw closed();
            }
            default -> throw new SSLException("unwrap: " + result.getStatus());
        }
    }

    /** Reads what the kernel has. Returns false if nothing came in time. */
    private boolean fill(long timeoutNs) throws IOException, LinkException {
        sealed.compact();
        try {
            incoming.clear().limit(Math.min(incoming.capacity(), sealed.remaining()));
            int bytes = socket.read(incoming, timeoutNs);
            if (bytes == TimedSocket.END) {
                throw closed();
            }
            if (bytes == TimedSocket.NOTHING) {
                return false;
            }
            lastReceivedNs = System.nanoTime();
            sealed.put(incoming.flip());
            return true;
        } finally {
            sealed.flip();
        }
    }

    private LinkException closed() {
        return new LinkException(Kind.CLOSED, "link-closed", "peer " + socket.remote() + " closed the connection");
    }
}
