package io.lockstep.replication.disk;

import io.lockstep.replication.DutyCycle;
import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One client's requests, answered in their order; NBD protocol, "Transmission phase".
 *
 * <pre>
 * request  u32 magic | u16 flags | u16 type | u64 cookie | u64 offset | u32 length | payload of WRITE
 * reply    u32 magic | u32 error | u64 cookie | payload of READ
 * chunk    u32 magic | u16 flags | u16 type | u64 cookie | u32 length | payload
 * </pre>
 *
 * <p>A request that is well-formed gets exactly one answer; what is not ends the connection, because where the next request begins is then
 * unknown. The connection's thread; nothing is allocated for a request that succeeds.
 */
final class NbdTransmission {
    private static final Logger LOG = LoggerFactory.getLogger(NbdTransmission.class);
    private static final int REQUEST_BYTES = 28;

    /** Extents in one answer, of 8 bytes each: 2 KiB. A client asks again for the rest. */
    private static final int EXTENTS_MAX = 256;

    private final NbdWire wire;
    private final NbdExport export;
    private final boolean structured;
    private final boolean allocation;
    private final long sizeBytes;
    private final DutyCycle rounds;

    private int flags;
    private int type;
    private long cookie;
    private long offset;
    private long length;

    /** @param rounds takes how long each request took from its head to its answer */
    NbdTransmission(NbdWire wire, NbdExport export, NbdHandshake agreed, DutyCycle rounds) {
        this.rounds = rounds;
        this.wire = wire;
        this.export = export;
        structured = agreed.structured();
        allocation = agreed.allocation();
        sizeBytes = export.sizeBytes();
    }

    /** Serves until the client has ended the connection in order. */
    void serve() throws IOException {
        while (true) {
            ByteBuffer request = wire.receiveUnlessEnded(REQUEST_BYTES);
            if (request == null) {
                return;
            }
            int magic = request.getInt();
            if (magic != NbdProtocol.REQUEST_MAGIC) {
                throw new ProtocolException("request magic 0x" + Integer.toHexString(magic) + " != 0x"
                        + Integer.toHexString(NbdProtocol.REQUEST_MAGIC));
            }
            flags = Short.toUnsignedInt(request.getShort());
            type = Short.toUnsignedInt(request.getShort());
            cookie = request.getLong();
            offset = request.getLong();
            length = Integer.toUnsignedLong(request.getInt());
            if (type == NbdProtocol.CMD_DISC) {
                return;
            }
            long beganNs = System.nanoTime();
            try {
                answer();
            } finally {
                long endedNs = System.nanoTime();
                rounds.took(endedNs - beganNs);
                if (type == NbdProtocol.CMD_FLUSH) {
                    export.flushed(endedNs);
                }
            }
        }
    }

    private void answer() throws IOException {
        try {
            switch (type) {
                case NbdProtocol.CMD_READ -> read();
                case NbdProtocol.CMD_WRITE -> write();
                case NbdProtocol.CMD_FLUSH -> flush();
                case NbdProtocol.CMD_TRIM -> trim();
                case NbdProtocol.CMD_WRITE_ZEROES -> writeZeroes();
                case NbdProtocol.CMD_BLOCK_STATUS -> blockStatus();
                default -> throw new NbdException(NbdException.EINVAL, "command " + type + " is not supported");
            }
        } catch (NbdException e) {
            sendError(e, -1);
        }
    }

    private void read() throws IOException, NbdException {
        checkFlags(structured ? NbdProtocol.CMD_FLAG_DF : 0);
        checkPayload();
        checkRange(NbdException.EINVAL);
        ByteBuffer data = wire.data();
        if ((flags & NbdProtocol.CMD_FLAG_DF) != 0 && length > data.capacity()) {
            throw new NbdException(
                    NbdException.EOVERFLOW, "unfragmented read of " + length + " bytes > " + data.capacity());
        }
        if (length == 0) {
            sendDone();
            return;
        }
        for (long done = 0; done < length; done += data.limit()) {
            data.clear().limit((int) Math.min(length - done, data.capacity()));
            NbdException failure = readPiece(offset + done, data);
            if (failure != null) {
                if (done > 0 && !structured) {
                    throw new IOException(
                            "a read failed behind its first part, which cannot be told otherwise", failure);
                }
                sendError(failure, offset + done);
                return;
            }
            data.flip();
            sendPiece(done, data.limit());
        }
    }

    private @Nullable NbdException readPiece(long from, ByteBuffer into) {
        try {
            export.read(from, into);
            if (into.hasRemaining()) {
                return new NbdException(NbdException.EIO, "the export left " + into.remaining() + " bytes unread");
            }
            return null;
        } catch (NbdException e) {
            return e;
        } catch (RuntimeException e) {
            return bug(e);
        }
    }

    private void sendPiece(long done, int bytes) throws IOException {
        if (structured) {
            boolean last = done + bytes == length;
            chunk(last ? NbdProtocol.CHUNK_FLAG_DONE : 0, NbdProtocol.CHUNK_OFFSET_DATA, Long.BYTES + bytes);
            wire.out().putLong(offset + done);
        } else if (done == 0) {
            simple(0);
        }
        wire.sendWithData();
    }

    /** The payload is received in any case: behind it begins the next request. */
    private void write() throws IOException, NbdException {
        if (length > NbdServer.PAYLOAD_BYTES_MAX) {
            throw new ProtocolException("write of " + length + " bytes > " + NbdServer.PAYLOAD_BYTES_MAX);
        }
        NbdException failure = writable();
        boolean fua = (flags & NbdProtocol.CMD_FLAG_FUA) != 0;
        boolean whole = length <= wire.data().capacity();
        for (long done = 0; done < length; ) {
            ByteBuffer data =
                    wire.receiveData((int) Math.min(length - done, wire.data().capacity()));
            if (failure == null) {
                failure = writePiece(offset + done, data, fua && whole);
            }
            done += data.limit();
        }
        if (failure != null) {
            throw failure;
        }
        if (fua && !whole) {
            flushExport();
        }
        sendDone();
    }

    private @Nullable NbdException writable() {
        try {
            checkFlags(0);
            checkWritable();
            checkRange(NbdException.ENOSPC);
            return null;
        } catch (NbdException e) {
            return e;
        }
    }

    private @Nullable NbdException writePiece(long to, ByteBuffer data, boolean fua) {
        int bytes = data.limit();
        try {
            export.write(to, data, fua);
            return null;
        } catch (NbdException e) {
            return e;
        } catch (RuntimeException e) {
            return bug(e);
        } finally {
            // The caller counts by the limit, whatever the export did with it.
            data.limit(bytes);
        }
    }

    private void flush() throws IOException, NbdException {
        checkFlags(0);
        if (offset != 0 || length != 0) {
            throw new NbdException(
                    NbdException.EINVAL,
                    "flush of a range: offset " + Long.toUnsignedString(offset) + ", length " + length);
        }
        flushExport();
        sendDone();
    }

    private void flushExport() throws NbdException {
        try {
            export.flush();
        } catch (RuntimeException e) {
            throw bug(e);
        }
    }

    private void trim() throws IOException, NbdException {
        checkFlags(0);
        checkWritable();
        checkRange(NbdException.EINVAL);
        try {
            if (length > 0) {
                export.trim(offset, length, (flags & NbdProtocol.CMD_FLAG_FUA) != 0);
            }
        } catch (RuntimeException e) {
            throw bug(e);
        }
        sendDone();
    }

    private void writeZeroes() throws IOException, NbdException {
        checkFlags(NbdProtocol.CMD_FLAG_NO_HOLE | NbdProtocol.CMD_FLAG_FAST_ZERO);
        checkWritable();
        checkRange(NbdException.ENOSPC);
        boolean mayTrim = (flags & NbdProtocol.CMD_FLAG_NO_HOLE) == 0;
        if ((flags & NbdProtocol.CMD_FLAG_FAST_ZERO) != 0 && !(mayTrim && export.zeroesFast())) {
            throw new NbdException(NbdException.ENOTSUP, "zeroes are no quicker than writing here");
        }
        try {
            if (length > 0) {
                export.writeZeroes(offset, length, mayTrim, (flags & NbdProtocol.CMD_FLAG_FUA) != 0);
            }
        } catch (RuntimeException e) {
            throw bug(e);
        }
        sendDone();
    }

    private void blockStatus() throws IOException, NbdException {
        checkFlags(NbdProtocol.CMD_FLAG_REQ_ONE);
        checkRange(NbdException.EINVAL);
        if (!allocation || length == 0) {
            throw new NbdException(
                    NbdException.EINVAL,
                    allocation
                            ? "block status of nothing"
                            : "block status without the context " + NbdMetaQuery.ALLOCATION);
        }
        // The extents are put where the answer's payload is; their number, and so its head, is known afterwards.
        ByteBuffer extents = wire.data().clear();
        int extentsMax = (flags & NbdProtocol.CMD_FLAG_REQ_ONE) != 0 ? 1 : EXTENTS_MAX;
        for (long done = 0; done < length && extents.position() < extentsMax * Long.BYTES; ) {
            long extent = extent(offset + done, length - done);
            extents.putInt((int) Math.abs(extent))
                    .putInt(extent < 0 ? NbdProtocol.STATE_HOLE | NbdProtocol.STATE_ZERO : 0);
            done += Math.abs(extent);
        }
        extents.flip();
        chunk(NbdProtocol.CHUNK_FLAG_DONE, NbdProtocol.CHUNK_BLOCK_STATUS, Integer.BYTES + extents.limit());
        wire.out().putInt(NbdMetaQuery.ALLOCATION_ID);
        wire.sendWithData();
    }

    private long extent(long from, long bytes) throws NbdException {
        try {
            long extent = export.extent(from, bytes);
            if (extent == 0 || extent > bytes || extent < -bytes) {
                throw new NbdException(
                        NbdException.EIO, "the export has an extent of " + extent + " bytes in " + bytes);
            }
            return extent;
        } catch (RuntimeException e) {
            throw bug(e);
        }
    }

    /** FUA is good for every command, and means nothing where nothing is written. */
    private void checkFlags(int allowed) throws NbdException {
        int unknown = flags & ~(allowed | NbdProtocol.CMD_FLAG_FUA);
        if (unknown != 0) {
            throw new NbdException(
                    NbdException.EINVAL, "command " + type + " has no flags 0x" + Integer.toHexString(unknown));
        }
    }

    private void checkPayload() throws NbdException {
        if (length > NbdServer.PAYLOAD_BYTES_MAX) {
            throw new NbdException(
                    NbdException.EINVAL, "read of " + length + " bytes > " + NbdServer.PAYLOAD_BYTES_MAX);
        }
    }

    private void checkWritable() throws NbdException {
        if (export.readOnly()) {
            throw new NbdException(NbdException.EPERM, "the export is read-only");
        }
    }

    /** A negative offset is one beyond 2^63; the subtraction cannot overflow once it is within the export. */
    private void checkRange(int errno) throws NbdException {
        if (offset < 0 || offset > sizeBytes || length > sizeBytes - offset) {
            throw new NbdException(
                    errno,
                    "offset " + Long.toUnsignedString(offset) + " + length " + length + " > export of " + sizeBytes
                            + " bytes");
        }
    }

    private static NbdException bug(RuntimeException e) {
        LOG.error("an export failed unexpectedly", e);
        return new NbdException(NbdException.EIO, "unexpected: " + e, e);
    }

    private void sendDone() throws IOException {
        if (structured) {
            chunk(NbdProtocol.CHUNK_FLAG_DONE, NbdProtocol.CHUNK_NONE, 0);
        } else {
            simple(0);
        }
        wire.send();
    }

    /** Offset −1: the whole request is meant. */
    private void sendError(NbdException error, long at) throws IOException {
        LOG.debug("command {} at {}, {} bytes: {}", type, offset, length, error.getMessage());
        if (!structured) {
            simple(error.errno());
            wire.send();
            return;
        }
        byte[] text = NbdWire.text(String.valueOf(error.getMessage()));
        boolean placed = at >= 0;
        chunk(
                NbdProtocol.CHUNK_FLAG_DONE,
                placed ? NbdProtocol.CHUNK_ERROR_OFFSET : NbdProtocol.CHUNK_ERROR,
                Integer.BYTES + Short.BYTES + text.length + (placed ? Long.BYTES : 0));
        wire.out().putInt(error.errno()).putShort((short) text.length).put(text);
        if (placed) {
            wire.out().putLong(at);
        }
        wire.send();
    }

    private void simple(int errno) {
        wire.out().putInt(NbdProtocol.SIMPLE_REPLY_MAGIC).putInt(errno).putLong(cookie);
    }

    private void chunk(int chunkFlags, int chunkType, int bytes) {
        wire.out()
                .putInt(NbdProtocol.STRUCTURED_REPLY_MAGIC)
                .putShort((short) chunkFlags)
                .putShort((short) chunkType)
                .putLong(cookie)
                .putInt(bytes);
    }
}
