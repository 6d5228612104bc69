package io.lockstep.replication.disk;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Reads an export of QEMU's NBD server: content, and what it says of ranges; NBD protocol, github.com/NetworkBlockDevice/nbd, doc/proto.md,
 * with structured replies. One request at a time.
 *
 * <p>One thread; {@link #close()} from any, which ends a read under way.
 */
final class NbdClient implements AutoCloseable {
    /** The context that says where an image has data. */
    static final String ALLOCATION = "base:allocation";

    /** Most that one {@link #status} asks for: QEMU takes a 32-bit length. */
    static final long STATUS_BYTES_MAX = 1L << 30;

    private static final int CHUNK_HEADER_BYTES = 20;
    private static final int OPTION_REPLY_HEADER_BYTES = 20;
    /** Of a reply that is no content: extents of 8 bytes, of which QEMU sends at most 128 Ki. */
    private static final int REPLY_BYTES_MAX = 2 << 20;

    private static final int EXTENT_BYTES = 8;
    private static final byte[] ZEROS = new byte[1 << 12];

    private final SocketChannel channel;
    private final ByteBuffer header = ByteBuffer.allocateDirect(CHUNK_HEADER_BYTES + EXTENT_BYTES);
    private ByteBuffer reply = ByteBuffer.allocateDirect(1 << 16);
    private final int allocationId;
    private final int otherId;
    private final long sizeBytes;
    private long handle;

    /** Gets the extents of a range, in order. */
    interface Extents {
        void extent(long offset, long length, int flags);
    }

    /**
     * Connects.
     *
     * @param context a further metadata context; empty for none
     */
    NbdClient(Path socket, String export, String context) throws IOException {
        channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        boolean done = false;
        try {
            int[] ids = new int[2];
            sizeBytes = handshake(export, context.isEmpty() ? List.of(ALLOCATION) : List.of(ALLOCATION, context), ids);
            allocationId = ids[0];
            otherId = ids[1];
            done = true;
        } finally {
            if (!done) {
                channel.close();
            }
        }
    }

    /** Length of the export. */
    long sizeBytes() {
        return sizeBytes;
    }

    private long handshake(String export, List<String> contexts, int[] ids) throws IOException {
        ByteBuffer greeting = receive(18);
        if (greeting.getLong() != NbdProtocol.INIT_MAGIC || greeting.getLong() != NbdProtocol.OPTION_MAGIC) {
            throw new IOException("no NBD server answers");
        }
        int flags = greeting.getShort() & (NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES);
        send(ByteBuffer.allocate(4).putInt(flags).flip());
        option(NbdProtocol.OPT_STRUCTURED_REPLY, ByteBuffer.allocate(0), List.of(), ids);
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        int bytes = 4 + name.length + 4;
        for (String context : contexts) {
            bytes += 4 + context.getBytes(StandardCharsets.UTF_8).length;
        }
        ByteBuffer request = ByteBuffer.allocate(bytes);
        request.putInt(name.length).put(name).putInt(contexts.size());
        for (String context : contexts) {
            byte[] text = context.getBytes(StandardCharsets.UTF_8);
            request.putInt(text.length).put(text);
        }
        Arrays.fill(ids, -1);
        option(NbdProtocol.OPT_SET_META_CONTEXT, request.flip(), contexts, ids);
        for (int i = 0; i < contexts.size(); i++) {
            if (ids[i] < 0) {
                throw new IOException("the server lacks the context " + contexts.get(i));
            }
        }
        ByteBuffer go = ByteBuffer.allocate(4 + name.length + 2);
        go.putInt(name.length).put(name).putShort((short) 0).flip();
        return option(NbdProtocol.OPT_GO, go, List.of(), ids);
    }

    /** Sends an option and takes its replies up to the last; returns the export's length if that was told. */
    private long option(int option, ByteBuffer data, List<String> contexts, int[] ids) throws IOException {
        ByteBuffer head = ByteBuffer.allocate(16);
        head.putLong(NbdProtocol.OPTION_MAGIC)
                .putInt(option)
                .putInt(data.remaining())
                .flip();
        send(head);
        send(data);
        long size = -1;
        while (true) {
            ByteBuffer answer = receive(OPTION_REPLY_HEADER_BYTES);
            if (answer.getLong() != NbdProtocol.OPTION_REPLY_MAGIC || answer.getInt() != option) {
                throw new IOException("the answer to option " + option + " is none");
            }
            int type = answer.getInt();
            ByteBuffer content = receive(checkedLength(answer.getInt()));
            switch (type) {
                case NbdProtocol.REP_ACK -> {
                    return size;
                }
                case NbdProtocol.REP_INFO -> {
                    if (content.getShort() == NbdProtocol.INFO_EXPORT) {
                        size = content.getLong();
                    }
                }
                case NbdProtocol.REP_META_CONTEXT -> {
                    int id = content.getInt();
                    byte[] text = new byte[content.remaining()];
                    content.get(text);
                    int place = contexts.indexOf(new String(text, StandardCharsets.UTF_8));
                    if (place >= 0) {
                        ids[place] = id;
                    }
                }
                default ->
                    throw new IOException("option " + option + " was refused: reply type " + Integer.toHexString(type));
            }
        }
    }

    /** Fills the buffer, from position to limit, with the export's content from an offset on. */
    void read(long offset, ByteBuffer into) throws IOException {
        int base = into.position();
        int length = into.remaining();
        request(NbdProtocol.CMD_READ, offset, length);
        boolean done = false;
        while (!done) {
            Chunk chunk = chunk();
            done = chunk.done;
            switch (chunk.type) {
                case NbdProtocol.CHUNK_OFFSET_DATA -> {
                    long at = receive(8).getLong() - offset;
                    int bytes = chunk.length - 8;
                    checkPlace(at, bytes, length);
                    into.limit(base + (int) at + bytes).position(base + (int) at);
                    fill(into);
                    into.limit(base + length);
                }
                case NbdProtocol.CHUNK_OFFSET_HOLE -> {
                    ByteBuffer hole = receive(12);
                    long at = hole.getLong() - offset;
                    int bytes = hole.getInt();
                    checkPlace(at, bytes, length);
                    for (int zeroed = 0; zeroed < bytes; zeroed += ZEROS.length) {
                        into.put(base + (int) at + zeroed, ZEROS, 0, Math.min(ZEROS.length, bytes - zeroed));
                    }
                }
                default -> other(chunk);
            }
        }
        into.limit(base + length).position(base + length);
    }

    private static void checkPlace(long at, int bytes, int length) throws IOException {
        if (at < 0 || bytes < 0 || at + bytes > length) {
            throw new IOException("content of " + bytes + " bytes at " + at + " lies outside of " + length);
        }
    }

    /**
     * Tells what the server knows of a range, in the context of the allocation or, if not, in the other one; it may be told in part only.
     *
     * @return the end of what was told
     */
    long status(long offset, long length, boolean allocation, Extents to) throws IOException {
        request(NbdProtocol.CMD_BLOCK_STATUS, offset, (int) Math.min(length, STATUS_BYTES_MAX));
        int wanted = allocation ? allocationId : otherId;
        long at = offset;
        boolean done = false;
        while (!done) {
            Chunk chunk = chunk();
            done = chunk.done;
            if (chunk.type != NbdProtocol.CHUNK_BLOCK_STATUS) {
                other(chunk);
                continue;
            }
            ByteBuffer content = receive(chunk.length);
            if (content.getInt() != wanted) {
                continue;
            }
            while (content.remaining() >= EXTENT_BYTES) {
                long bytes = Math.min(content.getInt() & 0xffff_ffffL, offset + length - at);
                int flags = content.getInt();
                if (bytes > 0) {
                    to.extent(at, bytes, flags);
                    at += bytes;
                }
            }
        }
        if (at == offset) {
            throw new IOException("the server tells nothing of " + length + " bytes at " + offset);
        }
        return at;
    }

    private void request(int type, long offset, int length) throws IOException {
        handle++;
        ByteBuffer request = header.clear();
        request.putInt(NbdProtocol.REQUEST_MAGIC)
                .putShort((short) 0)
                .putShort((short) type)
                .putLong(handle)
                .putLong(offset)
                .putInt(length)
                .flip();
        send(request);
    }

    private record Chunk(int type, int length, boolean done) {}

    private Chunk chunk() throws IOException {
        ByteBuffer head = receive(CHUNK_HEADER_BYTES);
        int magic = head.getInt();
        boolean done = (head.getShort() & NbdProtocol.CHUNK_FLAG_DONE) != 0;
        int type = head.getShort() & 0xffff;
        if (magic != NbdProtocol.STRUCTURED_REPLY_MAGIC || head.getLong() != handle) {
            throw new IOException("the server's reply has magic " + Integer.toHexString(magic));
        }
        int length = head.getInt();
        return new Chunk(type, type == NbdProtocol.CHUNK_OFFSET_DATA ? length : checkedLength(length), done);
    }

    private void other(Chunk chunk) throws IOException {
        ByteBuffer content = receive(chunk.length);
        if (chunk.type >= NbdProtocol.CHUNK_ERROR) {
            int error = content.getInt();
            byte[] text = new byte[Math.min(content.getShort() & 0xffff, content.remaining())];
            content.get(text);
            throw new IOException(
                    "QEMU cannot read the disk: error " + error + " " + new String(text, StandardCharsets.UTF_8));
        }
    }

    private static int checkedLength(int length) throws IOException {
        if (length < 0 || length > REPLY_BYTES_MAX) {
            throw new IOException("a reply of " + Integer.toUnsignedString(length) + " bytes > " + REPLY_BYTES_MAX);
        }
        return length;
    }

    private ByteBuffer receive(int bytes) throws IOException {
        if (reply.capacity() < bytes) {
            reply = ByteBuffer.allocateDirect(Integer.highestOneBit(bytes) << 1);
        }
        ByteBuffer into = reply.clear().limit(bytes);
        fill(into);
        return into.flip();
    }

    private void fill(ByteBuffer into) throws IOException {
        while (into.hasRemaining()) {
            if (channel.read(into) < 0) {
                throw new EOFException("QEMU's NBD server ended the connection");
            }
        }
    }

    private void send(ByteBuffer data) throws IOException {
        while (data.hasRemaining()) {
            channel.write(data);
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
