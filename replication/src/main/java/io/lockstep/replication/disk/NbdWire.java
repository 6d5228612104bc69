package io.lockstep.replication.disk;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;

/** One connection's socket as messages, with their memory, which is taken once. The connection's thread. */
final class NbdWire implements AutoCloseable {
    /** Longest option data or reply: a string of 4096 bytes and what stands around it. */
    static final int MESSAGE_BYTES_MAX = NbdProtocol.STRING_BYTES_MAX + 256;

    private final SocketChannel channel;
    private final ByteBuffer in = ByteBuffer.allocateDirect(MESSAGE_BYTES_MAX);
    private final ByteBuffer out = ByteBuffer.allocateDirect(MESSAGE_BYTES_MAX);
    private final ByteBuffer data = ByteBuffer.allocateDirect(NbdServer.PIECE_BYTES_MAX);
    private final ByteBuffer[] outAndData = {out, data};

    NbdWire(SocketChannel channel) {
        this.channel = channel;
    }

    /** Room in the kernel for what the client has not received yet, as far as this process may ask for it. */
    void sendBuffer(int bytes) throws IOException {
        channel.setOption(StandardSocketOptions.SO_SNDBUF, bytes);
    }

    /** For what is sent by {@link #send}: empty after it. */
    ByteBuffer out() {
        return out;
    }

    /** Room of {@link NbdServer#PIECE_BYTES_MAX} for payload. */
    ByteBuffer data() {
        return data;
    }

    /** Receives so many bytes, at most {@link #MESSAGE_BYTES_MAX}; valid until the next call. */
    ByteBuffer receive(int bytes) throws IOException {
        in.clear().limit(bytes);
        fill(in);
        return in.flip();
    }

    /** As {@link #receive}; null if the client has closed the connection before the first byte. */
    @Nullable
    ByteBuffer receiveUnlessEnded(int bytes) throws IOException {
        in.clear().limit(bytes);
        if (channel.read(in) < 0) {
            return null;
        }
        fill(in);
        return in.flip();
    }

    /** Receives so many bytes of payload into {@link #data()}, whose content they then are. */
    ByteBuffer receiveData(int bytes) throws IOException {
        data.clear().limit(bytes);
        fill(data);
        return data.flip();
    }

    /** Receives and forgets so many bytes. */
    void skip(long bytes) throws IOException {
        for (long left = bytes; left > 0; left -= data.limit()) {
            receiveData((int) Math.min(left, data.capacity()));
        }
    }

    /** Sends what was put into {@link #out()}. */
    void send() throws IOException {
        out.flip();
        while (out.hasRemaining()) {
            channel.write(out);
        }
        out.clear();
    }

    /** Sends what was put into {@link #out()}, then {@link #data()} from position to limit. */
    void sendWithData() throws IOException {
        out.flip();
        while (out.hasRemaining() || data.hasRemaining()) {
            channel.write(outAndData);
        }
        out.clear();
    }

    /** Gives the memory back; the socket is the caller's. */
    @Override
    public void close() {
        BufferUtil.free(in);
        BufferUtil.free(out);
        BufferUtil.free(data);
    }

    /** A message as a string of the protocol: cut so that it is never too long, which 1000 characters of at most 3 bytes are not. */
    static byte[] text(String message) {
        return message.substring(0, Math.min(message.length(), 1000)).getBytes(StandardCharsets.UTF_8);
    }

    private void fill(ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            if (channel.read(buffer) < 0) {
                throw new EOFException("the client closed the connection within a message, " + buffer.remaining()
                        + " bytes before its end");
            }
        }
    }
}
