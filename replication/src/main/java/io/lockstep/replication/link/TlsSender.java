package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;
import org.agrona.DirectBuffer;

/**
 * The sending half of a {@link TlsChannel}: frames gather in one buffer, are sealed record by record into a second, and leave with one write(2)
 * for many records. Any thread may send; a lock keeps frames whole and in sequence.
 */
final class TlsSender {
    /** Frames gather up to this size before they are sealed: 16 records of 16 KiB for one write(2) of some 30 µs. */
    static final int BATCH_BYTES = 256 << 10;

    private static final ByteBuffer NO_DATA = ByteBuffer.allocate(0);

    private final TimedSocket socket;
    private final SSLEngine engine;
    private final long sendTimeoutMs;
    private final ReentrantLock lock = new ReentrantLock();

    private final int recordBytesMax;

    /** Sealed records. On the heap, because the JDK's GCM copies direct buffers piecewise: 3.5 KB of garbage a record against 1.4. */
    private ByteBuffer sealed;

    /** The sealed records again, where the kernel can read them. */
    private ByteBuffer outgoing;

    /** Frames in the clear; none until the peer is authenticated. */
    private ByteBuffer frames = NO_DATA;

    private FrameWriter writer = new FrameWriter(NO_DATA);
    private final AtomicLong sentBytes = new AtomicLong();

    TlsSender(TimedSocket socket, SSLEngine engine, long sendTimeoutMs) {
        this.socket = socket;
        this.engine = engine;
        this.sendTimeoutMs = sendTimeoutMs;
        recordBytesMax = engine.getSession().getPacketBufferSize();
        sealed = ByteBuffer.allocate(recordBytesMax);
        outgoing = ByteBuffer.allocate(recordBytesMax);
    }

    /** Makes room for frames, once the peer has proven who it is: a stranger gets a record's room and no more. */
    void authenticated() {
        lock.lock();
        try {
            sealed = ByteBuffer.allocate(BATCH_BYTES + recordBytesMax);
            outgoing = ByteBuffer.allocateDirect(sealed.capacity());
            // The last frame may begin just below the batch's size.
            frames = ByteBuffer.allocate(BATCH_BYTES + FrameLayout.FRAME_BYTES_MAX);
            writer = new FrameWriter(frames);
        } finally {
            lock.unlock();
        }
    }

    void send(DirectBuffer message, int offset, int length) throws IOException, LinkException {
        lock.lock();
        try {
            int end = writer.write(frames.position(), message, offset, length);
            frames.position(end);
            if (end >= BATCH_BYTES) {
                seal();
            }
        } finally {
            lock.unlock();
        }
    }

    void flush() throws IOException, LinkException {
        lock.lock();
        try {
            seal();
        } finally {
            lock.unlock();
        }
    }

    long sentBytes() {
        return sentBytes.get();
    }

    /** Wraps one message of the handshake and writes it. */
    HandshakeStatus handshake(long deadlineNs) throws IOException, LinkException {
        lock.lock();
        try {
            SSLEngineResult result = engine.wrap(NO_DATA, sealed);
            write(deadlineNs - System.nanoTime());
            return result.getHandshakeStatus();
        } finally {
            lock.unlock();
        }
    }

    /** Says goodbye in TLS (close_notify, or the alert that explains an error), if that is possible without waiting. */
    void closeNotify() {
        if (!lock.tryLock()) {
            return;
        }
        try {
            engine.closeOutbound();
            if (sealed.remaining() >= recordBytesMax) {
                engine.wrap(NO_DATA, sealed);
                outgoing.clear().put(sealed.flip()).flip();
                int bytes = socket.write(outgoing, 0);
                sentBytes.addAndGet(Math.max(bytes, 0));
            }
        } catch (IOException e) {
            // The connection is already broken, and is closed next.
        } finally {
            lock.unlock();
        }
    }

    private void seal() throws IOException, LinkException {
        frames.flip();
        while (frames.hasRemaining() || engine.getHandshakeStatus() == HandshakeStatus.NEED_WRAP) {
            if (sealed.remaining() < recordBytesMax) {
                write(TimeUnit.MILLISECONDS.toNanos(sendTimeoutMs));
            }
            SSLEngineResult result = engine.wrap(frames, sealed);
            if (result.getStatus() != SSLEngineResult.Status.OK) {
                throw new SSLException("wrap: " + result.getStatus());
            }
            if (result.bytesProduced() == 0) {
                // The receiving thread runs the engine's tasks; none can be due here in TLS 1.3, where only a key
                // update follows the handshake.
                throw new SSLException("wrap made nothing, handshake status " + result.getHandshakeStatus());
            }
        }
        frames.clear();
        write(TimeUnit.MILLISECONDS.toNanos(sendTimeoutMs));
    }

    private void write(long timeoutNs) throws IOException, LinkException {
        if (sealed.position() == 0) {
            return;
        }
        outgoing.clear().put(sealed.flip()).flip();
        sealed.clear();
        while (outgoing.hasRemaining()) {
            int bytes = socket.write(outgoing, timeoutNs);
            if (bytes == 0) {
                throw new LinkException(
                        Kind.TIMEOUT,
                        "link-send-timeout",
                        "peer " + socket.remote() + " took nothing of " + outgoing.remaining() + " bytes for "
                                + TimeUnit.NANOSECONDS.toMillis(timeoutNs)
                                + " ms. See whether its agent or the network hangs.");
            }
            sentBytes.addAndGet(bytes);
        }
    }
}
