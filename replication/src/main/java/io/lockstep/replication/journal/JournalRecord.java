package io.lockstep.replication.journal;

import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One record of the journal: a message of the stream as it came, behind a header of its own. Little endian.
 *
 * <pre>
 *   0             4          6          8             12            16            16 + length
 *   +-------------+----------+----------+-------------+-------------+---------------+
 *   | 'LSJR'  u32 | vers u16 | kind u16 | length  u32 | crc32c  u32 | message ...   |
 *   +-------------+----------+----------+-------------+-------------+---------------+
 * </pre>
 *
 * The kind is the message's SBE template id, 0 for the mark that opens a segment. The checksum covers the whole record with its own field
 * zero. One thread at a time; allocates nothing but for errors.
 */
final class JournalRecord {
    /** Bytes before the message. */
    static final int HEADER_BYTES = 16;

    /** Longest message: what a frame can carry. */
    static final int MESSAGE_BYTES_MAX = 1 << 20;

    /** Version of this layout. */
    static final int VERSION = 1;

    private static final int MAGIC = 0x524a534c; // "LSJR" in memory order
    private static final int VERSION_OFFSET = 4;
    private static final int KIND_OFFSET = 6;
    private static final int LENGTH_OFFSET = 8;
    private static final int CRC_OFFSET = 12;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

    private final ByteBuffer bytes = BufferUtil.allocateDirectAligned(HEADER_BYTES + MESSAGE_BYTES_MAX, 4096);
    private final UnsafeBuffer buffer = new UnsafeBuffer(bytes);
    private final long address = BufferUtil.address(bytes);
    private final CRC32C crc = new CRC32C();

    /** Address of the record, for {@link #length()} bytes; valid as long as this object. */
    long address() {
        return address;
    }

    /** The record, header first. */
    UnsafeBuffer buffer() {
        return buffer;
    }

    /** Length of the record in bytes, header included. */
    int length() {
        return HEADER_BYTES + messageLength();
    }

    /** Length of the message. */
    int messageLength() {
        return buffer.getInt(LENGTH_OFFSET, LE);
    }

    /** SBE template id of the message, 0 for a segment's mark. */
    int kind() {
        return buffer.getShort(KIND_OFFSET, LE) & 0xffff;
    }

    /** Builds a record around a message. */
    void set(int kind, DirectBuffer message, int offset, int length) {
        if (length < 0 || length > MESSAGE_BYTES_MAX) {
            throw new IllegalArgumentException("journal message " + length + " bytes > " + MESSAGE_BYTES_MAX);
        }
        buffer.putInt(0, MAGIC, LE);
        buffer.putShort(VERSION_OFFSET, (short) VERSION, LE);
        buffer.putShort(KIND_OFFSET, (short) kind, LE);
        buffer.putInt(LENGTH_OFFSET, length, LE);
        buffer.putInt(CRC_OFFSET, 0, LE);
        buffer.putBytes(HEADER_BYTES, message, offset, length);
        buffer.putInt(CRC_OFFSET, checksum(HEADER_BYTES + length), LE);
    }

    /**
     * Checks a record that was read into {@link #buffer()}.
     *
     * @param index where it stands, for the message
     * @param available bytes that were read
     * @throws LockstepException {@code journal-corrupt}, {@code journal-too-new}
     */
    void check(long index, long available) throws LockstepException {
        checkHeader(index, available);
        int stored = buffer.getInt(CRC_OFFSET, LE);
        buffer.putInt(CRC_OFFSET, 0, LE);
        int computed = checksum(length());
        buffer.putInt(CRC_OFFSET, stored, LE);
        if (stored != computed) {
            throw corrupt(
                    index,
                    "checksum " + Integer.toHexString(computed) + " != " + Integer.toHexString(stored) + " stored");
        }
    }

    /** Checks magic, version and length, and not the checksum. */
    void checkHeader(long index, long available) throws LockstepException {
        if (available < HEADER_BYTES) {
            throw corrupt(index, "length " + available + " < " + HEADER_BYTES);
        }
        if (buffer.getInt(0, LE) != MAGIC) {
            throw corrupt(
                    index, "magic " + Integer.toHexString(buffer.getInt(0, LE)) + " != " + Integer.toHexString(MAGIC));
        }
        int version = buffer.getShort(VERSION_OFFSET, LE) & 0xffff;
        if (version > VERSION) {
            throw new LockstepException(
                    "journal-too-new",
                    "Journal record " + Long.toHexString(index) + " has version " + version + " > " + VERSION
                            + ". Upgrade lockstep here, or remove the replica to copy the VM again.");
        }
        if (version < VERSION) {
            throw corrupt(index, "version " + version + " < " + VERSION);
        }
        if (messageLength() != available - HEADER_BYTES) {
            throw corrupt(index, "length " + (available - HEADER_BYTES) + " != " + messageLength() + " stored");
        }
    }

    private int checksum(int length) {
        bytes.limit(length).position(0);
        crc.reset();
        crc.update(bytes);
        bytes.clear();
        return (int) crc.getValue();
    }

    static LockstepException corrupt(long index, String what) {
        return new LockstepException(
                "journal-corrupt",
                "Journal record " + Long.toHexString(index) + ": " + what
                        + ". The epoch is not applied; the VM is copied again.");
    }
}
