package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * Payload of a {@link Encoding#REFERENCE}: a disk's page has the content of a page of memory, which the peer holds already. Little endian.
 *
 * <pre>
 *   0               2                               6                              10
 *   +---------------+-------------------------------+-------------------------------+
 *   | block u16     | page u32                      | CRC32C of the 4096 bytes u32  |
 *   +---------------+-------------------------------+-------------------------------+
 * </pre>
 *
 * <p>It means the page as it is at the end of the epoch: behind a reference, no page of memory travels in its epoch. So an epoch that was applied in
 * part can be applied again from its beginning.
 */
public final class PageReference {
    /** Bytes of the payload. */
    public static final int BYTES = 10;

    private static final int BLOCK = 0;
    private static final int PAGE = 2;
    private static final int CHECKSUM = 6;

    private PageReference() {}

    /** Writes a payload. */
    public static void put(MutableDirectBuffer into, int offset, int block, int page, int checksum) {
        into.putShort(offset + BLOCK, (short) block, ByteOrder.LITTLE_ENDIAN);
        into.putInt(offset + PAGE, page, ByteOrder.LITTLE_ENDIAN);
        into.putInt(offset + CHECKSUM, checksum, ByteOrder.LITTLE_ENDIAN);
    }

    /** Index of the RAM block, 0..65535, unchecked. */
    static int block(DirectBuffer from, int offset) {
        return from.getShort(offset + BLOCK, ByteOrder.LITTLE_ENDIAN) & 0xffff;
    }

    /** Page number in the block as an unsigned 32-bit number, unchecked. */
    static long page(DirectBuffer from, int offset) {
        return from.getInt(offset + PAGE, ByteOrder.LITTLE_ENDIAN) & 0xffff_ffffL;
    }

    /** CRC32C of the content. */
    static int checksum(DirectBuffer from, int offset) {
        return from.getInt(offset + CHECKSUM, ByteOrder.LITTLE_ENDIAN);
    }

    /** CRC32C of the 4096 bytes from an offset on; the buffer's position and limit are changed. */
    static int checksum(CRC32C crc, ByteBuffer content, int offset) {
        crc.reset();
        crc.update(content.limit(offset + RamBlock.PAGE_BYTES).position(offset));
        content.clear();
        return (int) crc.getValue();
    }
}
