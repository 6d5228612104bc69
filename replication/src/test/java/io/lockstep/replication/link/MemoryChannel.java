package io.lockstep.replication.link;

import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One end of a connection within this process. Bounded, allocation-free once its buffers have been used, and it fails on
 * request, so that it serves seeded tests in one thread as well as the pipeline's tests with several.
 */
public final class MemoryChannel implements FrameChannel {
    private static final int MESSAGE_BYTES_MAX = 1 << 20;

    /** Both ends of a new connection. */
    public record Pair(MemoryChannel left, MemoryChannel right) {}

    private final Queue outgoing;
    private final Queue incoming;
    private final long sendTimeoutMs;
    private long sendsUntilFailure = Long.MAX_VALUE;
    private volatile long sentBytes;
    private volatile long flushes;
    private volatile long lastReceivedNs = System.nanoTime();

    private MemoryChannel(Queue outgoing, Queue incoming, long sendTimeoutMs) {
        this.outgoing = outgoing;
        this.incoming = incoming;
        this.sendTimeoutMs = sendTimeoutMs;
    }

    /**
     * Connects two ends.
     *
     * @param messagesMax in each direction; a sender waits beyond that
     * @param sendTimeoutMs longest such wait
     */
    public static Pair pair(int messagesMax, long sendTimeoutMs) {
        Queue there = new Queue(messagesMax);
        Queue back = new Queue(messagesMax);
        return new Pair(new MemoryChannel(there, back, sendTimeoutMs), new MemoryChannel(back, there, sendTimeoutMs));
    }

    /** The send after so many more fails as if the connection had been lost. */
    public void failAfterSends(long sends) {
        synchronized (outgoing) {
            sendsUntilFailure = sends;
        }
    }

    @Override
    public void send(DirectBuffer message, int offset, int length) throws LinkException {
        if (length > MESSAGE_BYTES_MAX) {
            throw new LinkException(
                    LinkException.Kind.CORRUPT, "frame-too-large", "message " + length + " > " + MESSAGE_BYTES_MAX);
        }
        synchronized (outgoing) {
            if (sendsUntilFailure-- <= 0) {
                close();
            }
            outgoing.put(message, offset, length, sendTimeoutMs);
            sentBytes += length;
        }
    }

    @Override
    public void flush() throws LinkException {
        synchronized (outgoing) {
            if (outgoing.closed) {
                throw closed();
            }
            flushes++;
        }
    }

    @Override
    public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
        UnsafeBuffer message;
        int length;
        synchronized (incoming) {
            if (!incoming.awaitMessage(timeoutMs)) {
                return false;
            }
            message = incoming.messages.get(incoming.head);
            length = incoming.lengths[incoming.head];
        }
        lastReceivedNs = System.nanoTime();
        try {
            handler.onFrame(message, 0, length);
        } finally {
            synchronized (incoming) {
                incoming.remove();
            }
        }
        return true;
    }

    /** Messages sent to this end and not received. */
    public int waiting() {
        synchronized (incoming) {
            return incoming.count;
        }
    }

    /** Calls of {@link #flush()}. */
    public long flushes() {
        return flushes;
    }

    /** Whether either end closed the connection. */
    public boolean isClosed() {
        synchronized (outgoing) {
            return outgoing.closed;
        }
    }

    @Override
    public long lastReceivedNs() {
        return lastReceivedNs;
    }

    @Override
    public long sentBytes() {
        return sentBytes;
    }

    @Override
    public String peerFingerprint() {
        return "sha256:" + "0".repeat(64);
    }

    @Override
    public void close() {
        outgoing.close();
        incoming.close();
    }

    private static LinkException closed() {
        return new LinkException(LinkException.Kind.CLOSED, "link-closed", "the connection is closed");
    }

    /** A ring of message buffers; they are allocated when first needed and used again. */
    private static final class Queue {
        final List<UnsafeBuffer> messages = new ArrayList<>();
        final int[] lengths;
        int head;
        int count;
        boolean closed;

        Queue(int messagesMax) {
            lengths = new int[messagesMax];
            for (int i = 0; i < messagesMax; i++) {
                messages.add(new UnsafeBuffer(new byte[0]));
            }
        }

        synchronized void put(DirectBuffer message, int offset, int length, long timeoutMs) throws LinkException {
            long deadlineNs = System.nanoTime() + timeoutMs * 1_000_000;
            while (!closed && count == lengths.length) {
                long leftMs = (deadlineNs - System.nanoTime()) / 1_000_000;
                if (leftMs <= 0) {
                    closed = true;
                    notifyAll();
                    throw new LinkException(
                            LinkException.Kind.TIMEOUT, "link-timeout", "nothing was read for " + timeoutMs + " ms");
                }
                await(leftMs);
            }
            if (closed) {
                throw closed();
            }
            int at = (head + count) % lengths.length;
            UnsafeBuffer buffer = messages.get(at);
            if (buffer.capacity() < length) {
                buffer.wrap(new byte[Integer.highestOneBit(length) * 2]);
            }
            buffer.putBytes(0, message, offset, length);
            lengths[at] = length;
            count++;
            notifyAll();
        }

        synchronized boolean awaitMessage(long timeoutMs) throws LinkException {
            long deadlineNs = System.nanoTime() + timeoutMs * 1_000_000;
            while (count == 0) {
                if (closed) {
                    throw closed();
                }
                long leftMs = (deadlineNs - System.nanoTime()) / 1_000_000;
                if (leftMs <= 0) {
                    return false;
                }
                await(leftMs);
            }
            return true;
        }

        synchronized void remove() {
            head = (head + 1) % lengths.length;
            count--;
            notifyAll();
        }

        synchronized void close() {
            closed = true;
            notifyAll();
        }

        @SuppressWarnings("WaitNotInLoop") // The callers loop.
        private void await(long ms) throws LinkException {
            try {
                wait(ms);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new LinkException(LinkException.Kind.CLOSED, "link-closed", "interrupted", e);
            }
        }
    }
}
