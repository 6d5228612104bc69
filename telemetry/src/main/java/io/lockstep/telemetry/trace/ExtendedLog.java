package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.event.Component;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The place in {@code ras:extlog_mem_event}: {@code struct cper_mem_err_compact} of {@code include/linux/cper.h}, packed; what is valid: UEFI 2.10, N.2.5.
 *
 * <pre>
 * 0 u64 valid: 3 node, 4 card, 5 module, 6 bank, 8 row, 9 column, 15 rank, 18 high bits of the row
 * 8 u16 node   10 u16 card   12 u16 module   14 u16 bank   16 u16 device   18 u16 row   20 u16 column   22 u16 bit
 * 24 u64 requestor   32 u64 responder   40 u64 target   48 u16 rank   50 u16 handle   52 u16 handle   54 u8 1:0 high bits of the row
 * </pre>
 */
final class ExtendedLog {
    private static final int BYTES = 55;

    private ExtendedLog() {}

    /** What it tells of the place; a record that is too short tells nothing. */
    static Component.Memory place(byte[] data) {
        if (data.length < BYTES) {
            return Component.Memory.ANYWHERE;
        }
        ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        int row = number(in, 8, 18);
        boolean extended = row >= 0 && (in.getLong(0) >>> 18 & 1) != 0;
        return Component.Memory.ANYWHERE
                .at(number(in, 3, 8), Component.UNKNOWN, number(in, 4, 10), number(in, 5, 12))
                .place(
                        number(in, 15, 48),
                        number(in, 6, 14),
                        extended ? row | (in.get(54) & 3) << 16 : row,
                        number(in, 9, 20));
    }

    private static int number(ByteBuffer in, int valid, int offset) {
        return (in.getLong(0) >>> valid & 1) != 0 ? in.getShort(offset) & 0xffff : Component.UNKNOWN;
    }
}
