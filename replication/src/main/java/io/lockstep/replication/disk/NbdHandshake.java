package io.lockstep.replication.disk;

import java.io.IOException;
import java.net.ProtocolException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * From the first byte until the client has chosen the export; NBD protocol, "Fixed newstyle negotiation" and "Option types". Oldstyle, TLS and
 * metadata contexts other than {@code base:allocation} are not offered. The connection's thread.
 */
final class NbdHandshake {
    /** What is skipped to answer an option in order that is too long for us; whoever sends more is cut off. */
    private static final int SKIPPED_BYTES_MAX = 64 * 1024;

    /** Part of the answer to EXPORT_NAME for clients that do not decline it. */
    private static final int EXPORT_NAME_ZEROES = 124;

    private final NbdWire wire;
    private final NbdExport export;
    private final byte[] name;
    private boolean zeroes = true;
    private boolean fixed;
    private boolean structured;
    private boolean allocation;

    NbdHandshake(NbdWire wire, NbdExport export) {
        this.wire = wire;
        this.export = export;
        name = export.name().getBytes(StandardCharsets.UTF_8);
    }

    /** Whether the client asked for structured replies. */
    boolean structured() {
        return structured;
    }

    /** Whether the client may ask what of the export takes space. */
    boolean allocation() {
        return allocation;
    }

    /** Transmission flags of an export: "Transmission flags". */
    static int transmissionFlags(NbdExport export) {
        int flags = NbdProtocol.HAS_FLAGS
                | NbdProtocol.SEND_FLUSH
                | NbdProtocol.SEND_FUA
                | NbdProtocol.SEND_DF
                | NbdProtocol.CAN_MULTI_CONN;
        return flags
                | (export.readOnly()
                        ? NbdProtocol.READ_ONLY
                        : NbdProtocol.SEND_TRIM | NbdProtocol.SEND_WRITE_ZEROES | NbdProtocol.SEND_FAST_ZERO);
    }

    /**
     * Negotiates.
     *
     * @return whether requests follow; false if the client has ended it in order
     * @throws ProtocolException if the client says what cannot be answered; the connection must be closed
     */
    boolean negotiate() throws IOException {
        wire.out()
                .putLong(NbdProtocol.INIT_MAGIC)
                .putLong(NbdProtocol.OPTION_MAGIC)
                .putShort((short) (NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES));
        wire.send();
        ByteBuffer flags = wire.receiveUnlessEnded(Integer.BYTES);
        if (flags == null) {
            return false;
        }
        int clientFlags = flags.getInt();
        if ((clientFlags & ~(NbdProtocol.FLAG_FIXED_NEWSTYLE | NbdProtocol.FLAG_NO_ZEROES)) != 0) {
            throw new ProtocolException("client flags 0x" + Integer.toHexString(clientFlags) + " are not all known");
        }
        zeroes = (clientFlags & NbdProtocol.FLAG_NO_ZEROES) == 0;
        fixed = (clientFlags & NbdProtocol.FLAG_FIXED_NEWSTYLE) != 0;
        return haggle();
    }

    private boolean haggle() throws IOException {
        while (true) {
            ByteBuffer header = wire.receiveUnlessEnded(16);
            if (header == null) {
                return false;
            }
            long magic = header.getLong();
            if (magic != NbdProtocol.OPTION_MAGIC) {
                throw new ProtocolException("option magic 0x" + Long.toHexString(magic) + " != 0x"
                        + Long.toHexString(NbdProtocol.OPTION_MAGIC));
            }
            int option = header.getInt();
            long length = Integer.toUnsignedLong(header.getInt());
            if (!fixed && option != NbdProtocol.OPT_EXPORT_NAME) {
                throw new ProtocolException(
                        "option " + option + " of a client without fixed newstyle, which has option 1 only");
            }
            if (length > NbdWire.MESSAGE_BYTES_MAX) {
                refuseLength(option, length);
                continue;
            }
            ByteBuffer data = wire.receive((int) length);
            switch (option) {
                case NbdProtocol.OPT_EXPORT_NAME -> {
                    sendExport(data);
                    return true;
                }
                case NbdProtocol.OPT_ABORT -> {
                    reply(option, NbdProtocol.REP_ACK, 0);
                    wire.send();
                    return false;
                }
                case NbdProtocol.OPT_LIST -> list(data);
                case NbdProtocol.OPT_STRUCTURED_REPLY -> structuredReply(data);
                case NbdProtocol.OPT_LIST_META_CONTEXT, NbdProtocol.OPT_SET_META_CONTEXT -> metaContext(option, data);
                case NbdProtocol.OPT_INFO, NbdProtocol.OPT_GO -> {
                    if (inform(option, data) && option == NbdProtocol.OPT_GO) {
                        return true;
                    }
                }
                default ->
                    refuse(
                            option,
                            NbdProtocol.REP_ERR_UNSUP,
                            "option " + Integer.toUnsignedString(option) + " is not supported");
            }
        }
    }

    private void refuseLength(int option, long length) throws IOException {
        String cause = "option " + Integer.toUnsignedString(option) + " has " + length + " bytes of data > "
                + NbdWire.MESSAGE_BYTES_MAX;
        if (length > SKIPPED_BYTES_MAX || option == NbdProtocol.OPT_EXPORT_NAME) {
            throw new ProtocolException(cause);
        }
        wire.skip(length);
        refuse(option, NbdProtocol.REP_ERR_TOO_BIG, cause);
    }

    /** EXPORT_NAME has no way to refuse but to close the connection. */
    private void sendExport(ByteBuffer asked) throws IOException {
        if (!isOurs(asked)) {
            throw new ProtocolException("no export has the name '" + text(asked) + "'");
        }
        ByteBuffer out = wire.out();
        out.putLong(export.sizeBytes()).putShort((short) transmissionFlags(export));
        for (int i = 0; zeroes && i < EXPORT_NAME_ZEROES; i++) {
            out.put((byte) 0);
        }
        wire.send();
    }

    private void list(ByteBuffer data) throws IOException {
        if (data.hasRemaining()) {
            refuse(
                    NbdProtocol.OPT_LIST,
                    NbdProtocol.REP_ERR_INVALID,
                    "option 3 has data: " + data.remaining() + " bytes");
            return;
        }
        reply(NbdProtocol.OPT_LIST, NbdProtocol.REP_SERVER, Integer.BYTES + name.length);
        wire.out().putInt(name.length).put(name);
        wire.send();
        reply(NbdProtocol.OPT_LIST, NbdProtocol.REP_ACK, 0);
        wire.send();
    }

    private void structuredReply(ByteBuffer data) throws IOException {
        int option = NbdProtocol.OPT_STRUCTURED_REPLY;
        if (data.hasRemaining()) {
            refuse(option, NbdProtocol.REP_ERR_INVALID, "option 8 has data: " + data.remaining() + " bytes");
            return;
        }
        structured = true;
        reply(option, NbdProtocol.REP_ACK, 0);
        wire.send();
    }

    private void metaContext(int option, ByteBuffer data) throws IOException {
        boolean sets = option == NbdProtocol.OPT_SET_META_CONTEXT;
        if (sets) {
            allocation = false;
        }
        NbdMetaQuery query = NbdMetaQuery.parse(data);
        if (query == null || !structured) {
            refuse(
                    option,
                    NbdProtocol.REP_ERR_INVALID,
                    query == null
                            ? "option " + option + " has strings that do not fit its length " + data.limit()
                            : "option " + option + " needs structured replies first");
            return;
        }
        if (!isOurs(query.export())) {
            refuse(option, NbdProtocol.REP_ERR_UNKNOWN, "no export has the name '" + text(query.export()) + "'");
            return;
        }
        if (query.exact() || (!sets && (query.namespace() || query.count() == 0))) {
            byte[] context = NbdMetaQuery.ALLOCATION.getBytes(StandardCharsets.UTF_8);
            allocation |= sets;
            reply(option, NbdProtocol.REP_META_CONTEXT, Integer.BYTES + context.length);
            wire.out().putInt(sets ? NbdMetaQuery.ALLOCATION_ID : 0).put(context);
        }
        reply(option, NbdProtocol.REP_ACK, 0);
        wire.send();
    }

    private boolean inform(int option, ByteBuffer data) throws IOException {
        ByteBuffer asked = exportAsked(data);
        if (asked == null) {
            refuse(
                    option,
                    NbdProtocol.REP_ERR_INVALID,
                    "option " + option + " has a name or a list that does not fit its length " + data.limit());
            return false;
        }
        if (!isOurs(asked)) {
            refuse(option, NbdProtocol.REP_ERR_UNKNOWN, "no export has the name '" + text(asked) + "'");
            return false;
        }
        reply(option, NbdProtocol.REP_INFO, 12);
        wire.out()
                .putShort((short) NbdProtocol.INFO_EXPORT)
                .putLong(export.sizeBytes())
                .putShort((short) transmissionFlags(export));
        reply(option, NbdProtocol.REP_INFO, 14);
        wire.out()
                .putShort((short) NbdProtocol.INFO_BLOCK_SIZE)
                .putInt(1)
                .putInt(NbdServer.PREFERRED_BYTES)
                .putInt(NbdServer.PAYLOAD_BYTES_MAX);
        reply(option, NbdProtocol.REP_ACK, 0);
        wire.send();
        return true;
    }

    /** The name in the data of INFO or GO: {@code u32 length, name, u16 count, count × u16 information types}; null if malformed. */
    private static @Nullable ByteBuffer exportAsked(ByteBuffer data) {
        ByteBuffer name = NbdMetaQuery.string(data);
        if (name == null || data.remaining() < Short.BYTES) {
            return null;
        }
        int types = Short.toUnsignedInt(data.getShort());
        return data.remaining() == types * Short.BYTES ? name : null;
    }

    private boolean isOurs(ByteBuffer asked) {
        return !asked.hasRemaining() || asked.equals(ByteBuffer.wrap(name));
    }

    private void reply(int option, int type, int bytes) {
        wire.out()
                .putLong(NbdProtocol.OPTION_REPLY_MAGIC)
                .putInt(option)
                .putInt(type)
                .putInt(bytes);
    }

    private void refuse(int option, int type, String message) throws IOException {
        byte[] text = NbdWire.text(message);
        reply(option, type, text.length);
        wire.out().put(text);
        wire.send();
    }

    private static String text(ByteBuffer name) {
        return StandardCharsets.UTF_8.decode(name.duplicate()).toString();
    }
}
