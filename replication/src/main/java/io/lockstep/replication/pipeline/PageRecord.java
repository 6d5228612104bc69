package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteOrder;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * Layout of one encoded page in {@code PageBatch.pages}; records follow one another without padding, little endian.
 *
 * <pre>
 *   0               2       3       4               8      10            10 + length
 *   +---------------+-------+-------+---------------+------+-------------+
 *   | block u16     | enc u8| 0  u8 | page u32      |length| payload ... |
 *   +---------------+-------+-------+---------------+------+-------------+
 * </pre>
 *
 * The page number counts units of {@link RamBlock#PAGE_BYTES} from the block's start. The flags byte is reserved and zero.
 */
public final class PageRecord {
    /** Bytes before the payload. */
    public static final int HEADER_BYTES = 10;

    /** Most bytes that one record can take: a raw page. */
    public static final int BYTES_MAX = HEADER_BYTES + RamBlock.PAGE_BYTES;

    private static final int BLOCK = 0;
    private static final int ENCODING = 2;
    private static final int FLAGS = 3;
    private static final int PAGE = 4;
    private static final int LENGTH = 8;

    private PageRecord() {}

    /** Writes a header. */
    public static void header(
            MutableDirectBuffer into, int offset, int block, int encodingCode, int page, int payloadBytes) {
        into.putShort(offset + BLOCK, (short) block, ByteOrder.LITTLE_ENDIAN);
        into.putByte(offset + ENCODING, (byte) encodingCode);
        into.putByte(offset + FLAGS, (byte) 0);
        into.putInt(offset + PAGE, page, ByteOrder.LITTLE_ENDIAN);
        into.putShort(offset + LENGTH, (short) payloadBytes, ByteOrder.LITTLE_ENDIAN);
    }

    /** Index of the RAM block, 0..65535, unchecked. */
    public static int block(DirectBuffer from, int offset) {
        return from.getShort(offset + BLOCK, ByteOrder.LITTLE_ENDIAN) & 0xffff;
    }

    /** Code of the encoding, 0..255, unchecked. */
    public static int encoding(DirectBuffer from, int offset) {
        return from.getByte(offset + ENCODING) & 0xff;
    }

    /** The reserved byte. */
    public static int flags(DirectBuffer from, int offset) {
        return from.getByte(offset + FLAGS) & 0xff;
    }

    /** Page number in the block as an unsigned 32-bit number, unchecked. */
    public static long page(DirectBuffer from, int offset) {
        return from.getInt(offset + PAGE, ByteOrder.LITTLE_ENDIAN) & 0xffff_ffffL;
    }

    /** Bytes of payload, 0..65535, unchecked. */
    public static int payloadBytes(DirectBuffer from, int offset) {
        return from.getShort(offset + LENGTH, ByteOrder.LITTLE_ENDIAN) & 0xffff;
    }
}
