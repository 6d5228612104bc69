package io.lockstep.replication.link;

import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.concurrent.TimeUnit;

/**
 * A TCP connection whose reads and writes wait for a bounded time. One thread may read while another writes; {@link #close} by any thread wakes
 * both. Waits allocate nothing.
 */
final class TimedSocket implements AutoCloseable {
    /** What {@link #read} returns when nothing came in time. */
    static final int NOTHING = 0;

    /** What {@link #read} returns when the peer sends no more. */
    static final int END = -1;

    private final SocketChannel channel;
    private final Selector readable;
    private final Selector writable;
    private final String remote;

    /** @param channel connected; belongs to this object from now on, also if this throws */
    TimedSocket(SocketChannel channel) throws IOException {
        this.channel = channel;
        Selector opened = null;
        try {
            channel.configureBlocking(false);
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.setOption(StandardSocketOptions.SO_KEEPALIVE, false);
            SocketAddress address = channel.getRemoteAddress();
            remote = AddressText.of(address);
            opened = Selector.open();
            readable = opened;
            channel.register(readable, SelectionKey.OP_READ);
            writable = Selector.open();
            channel.register(writable, SelectionKey.OP_WRITE);
        } catch (IOException e) {
            if (opened != null) {
                opened.close();
            }
            channel.close();
            throw e;
        }
    }

    /** Address and port of the other side, for messages. */
    String remote() {
        return remote;
    }

    /** Reads what is there, or waits up to the timeout (0: not at all) for something. Returns its length, {@link #NOTHING} or {@link #END}. */
    int read(ByteBuffer target, long timeoutNs) throws IOException {
        int bytes = channel.read(target);
        if (bytes != 0 || timeoutNs <= 0) {
            return bytes;
        }
        await(readable, timeoutNs);
        return channel.read(target);
    }

    /** Writes what fits, or waits up to the timeout for space. Returns its length, 0 if there was no space in time. */
    int write(ByteBuffer source, long timeoutNs) throws IOException {
        int bytes = channel.write(source);
        if (bytes != 0 || timeoutNs <= 0) {
            return bytes;
        }
        await(writable, timeoutNs);
        return channel.write(source);
    }

    /** Says to the other side that nothing more comes. */
    void shutdownOutput() throws IOException {
        channel.shutdownOutput();
    }

    boolean isOpen() {
        return channel.isOpen();
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            // The descriptor is gone all the same: close(2) reports errors of writes that TCP never had.
        }
        close(readable);
        close(writable);
    }

    private void await(Selector selector, long timeoutNs) throws IOException {
        long timeoutMs = Math.max(1, TimeUnit.NANOSECONDS.toMillis(timeoutNs));
        try {
            selector.select(TimedSocket::ignore, timeoutMs);
        } catch (ClosedSelectorException e) {
            throw new ClosedChannelException();
        }
    }

    private static void ignore(SelectionKey key) {
        // The read or write that follows finds out by itself.
    }

    private static void close(Selector selector) {
        try {
            selector.close();
        } catch (IOException e) {
            // Nothing waits on it any more, which is all that matters.
        }
    }
}
