package io.lockstep.replication.disk;

import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Speaks NBD byte by byte, also wrongly. */
final class NbdTestClient implements AutoCloseable {
    final SocketChannel channel;

    NbdTestClient(Path socket) throws IOException {
        channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
    }

    /** Through the greeting, with both client flags set. */
    static NbdTestClient greeted(Path socket) throws IOException {
        NbdTestClient client = new NbdTestClient(socket);
        client.receive(18);
        client.send(ByteBuffer.allocate(4).putInt(3));
        return client;
    }

    /** Ready for requests. */
    static NbdTestClient connected(Path socket, boolean structured) throws IOException {
        NbdTestClient client = greeted(socket);
        if (structured) {
            client.option(8);
            client.receive(20);
        }
        client.option(7, goData("disk0"));
        client.receive(20 + 12 + 20 + 14 + 20);
        return client;
    }

    /** The data of a question about metadata contexts. */
    static byte[] metaData(String name, String... queries) {
        ByteBuffer data = ByteBuffer.allocate(1000);
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        data.putInt(text.length).put(text).putInt(queries.length);
        for (String query : queries) {
            byte[] asked = query.getBytes(StandardCharsets.UTF_8);
            data.putInt(asked.length).put(asked);
        }
        return java.util.Arrays.copyOf(data.array(), data.position());
    }

    static byte[] goData(String name, int... types) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        ByteBuffer data = ByteBuffer.allocate(6 + text.length + 2 * types.length);
        data.putInt(text.length).put(text).putShort((short) types.length);
        for (int type : types) {
            data.putShort((short) type);
        }
        return data.array();
    }

    void option(int option, byte... data) throws IOException {
        send(ByteBuffer.allocate(16 + data.length)
                .putLong(0x49484156454F5054L)
                .putInt(option)
                .putInt(data.length)
                .put(data));
    }

    void request(int flags, int type, long cookie, long offset, long length, byte... payload) throws IOException {
        send(ByteBuffer.allocate(28 + payload.length)
                .putInt(0x25609513)
                .putShort((short) flags)
                .putShort((short) type)
                .putLong(cookie)
                .putLong(offset)
                .putInt((int) length)
                .put(payload));
    }

    /** The head of an answer to an option, and its text if it is an error: {@code option type text}. */
    String optionReply() throws IOException {
        ByteBuffer head = receive(20);
        long magic = head.getLong();
        int option = head.getInt();
        int type = head.getInt();
        ByteBuffer data = receive(head.getInt());
        String text = type < 0 ? StandardCharsets.UTF_8.decode(data).toString() : data.remaining() + " bytes";
        return (magic == 0x3e889045565a9L ? "" : "bad magic ") + option + " "
                + (type < 0 ? "error " + (type & 0x7fffffff) : "reply " + type) + ": " + text;
    }

    /** A simple answer without data: {@code cookie: error}. */
    String simpleReply() throws IOException {
        ByteBuffer head = receive(16);
        String magic = head.getInt() == 0x67446698 ? "" : "bad magic ";
        int errno = head.getInt();
        return magic + head.getLong() + ": " + errno;
    }

    /** One chunk: {@code cookie: flags type ...}, where data is reduced to its place and length. */
    String chunk() throws IOException {
        ByteBuffer head = receive(20);
        String magic = head.getInt() == 0x668e33ef ? "" : "bad magic ";
        int flags = head.getShort();
        int type = Short.toUnsignedInt(head.getShort());
        String result = magic + head.getLong() + ": " + (flags == 1 ? "done " : "");
        ByteBuffer body = receive(head.getInt());
        return result
                + switch (type) {
                    case 0 -> "nothing";
                    case 1 -> "data at " + body.getLong() + ", " + body.remaining() + " bytes";
                    case 5 -> "context " + body.getInt() + extents(body);
                    case 0x8001 -> error(body);
                    case 0x8002 -> error(body) + " at " + body.getLong();
                    default -> "type " + type;
                };
    }

    private static String extents(ByteBuffer body) {
        StringBuilder text = new StringBuilder();
        while (body.hasRemaining()) {
            text.append(", ").append(body.getInt()).append(body.getInt() == 3 ? " hole" : " data");
        }
        return text.toString();
    }

    private static String error(ByteBuffer body) {
        int errno = body.getInt();
        byte[] text = new byte[body.getShort()];
        body.get(text);
        return "error " + errno + " " + new String(text, StandardCharsets.UTF_8);
    }

    void send(ByteBuffer message) throws IOException {
        message.rewind();
        while (message.hasRemaining()) {
            channel.write(message);
        }
    }

    ByteBuffer receive(int bytes) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(bytes);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer) < 0) {
                throw new IOException("closed after " + buffer.position() + " of " + bytes + " bytes");
            }
        }
        return buffer.flip();
    }

    /** Whether the server has closed the connection, without another byte. */
    boolean ended() throws IOException {
        try {
            return Channels.newInputStream(channel).read() < 0;
        } catch (IOException e) {
            // What we had sent was not read before the other side closed.
            return "Connection reset by peer".equals(e.getMessage()) || "Connection reset".equals(e.getMessage());
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
