package io.lockstep.replication.link;

import org.agrona.DirectBuffer;

/**
 * Whole messages to and from one authenticated peer. Sending is safe from several threads; receiving is for one thread.
 * After any {@link LinkException} the channel is closed and stays closed.
 */
public interface FrameChannel extends AutoCloseable {
    /**
     * Puts one message (SBE header and body) in a frame behind those sent before, and may leave it buffered until
     * {@link #flush()} or until the batch is full. Blocks while the peer does not read, up to the channel's send timeout.
     */
    void send(DirectBuffer message, int offset, int length) throws LinkException;

    /** Seals and writes what is buffered. */
    void flush() throws LinkException;

    /**
     * Hands the next message to the handler; the buffer is valid during the call only.
     *
     * @return false if none came within the timeout
     * @throws LinkException if the connection ended ({@link LinkException.Kind#CLOSED}) or broke a rule of the protocol
     */
    boolean receive(FrameHandler handler, long timeoutMs) throws LinkException;

    /** Time of the last bytes from the peer, {@link System#nanoTime()}; any thread. */
    long lastReceivedNs();

    /** Bytes written to the network so far; any thread. */
    long sentBytes();

    /** The peer's certificate fingerprint, {@code sha256:} and 64 hexadecimal digits; any thread. */
    String peerFingerprint();

    /**
     * Sends what is buffered and says that nothing follows, then hands on what the peer still says until it has closed too, or the timeout is over;
     * then closes. For last words, which {@link #close} alone may cut off. On the thread that receives.
     *
     * @param rest what the peer says meanwhile
     */
    default void closeInOrder(FrameHandler rest, long timeoutMs) {
        try {
            flush();
        } catch (LinkException e) {
            // The peer is gone: there is nobody to be in order with.
        } finally {
            close();
        }
    }

    /** Closes the connection; any thread, any number of times; wakes a blocked sender and receiver. */
    @Override
    void close();
}
