package io.lockstep.telemetry.source;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The firmware's table of error sources: ACPI 6.4, 18.3.2. It says whether the firmware takes machine checks first.
 *
 * <pre>
 * 0 "HEST"   4 u32 length   36 u32 sources   40 sources: 0 u16 type   6 u8 flags, bit 0: firmware first
 * type 0 machine check: 40 bytes, banks at 32      1 corrected, 11 deferred: 48 bytes, banks at 44      28 bytes more for each bank
 * type 2 interrupt: 20    6, 7, 8 PCI Express: 48, 44, 56    9, 10 generic: 64, 92
 * </pre>
 */
final class HestTable {
    private static final int SOURCES = 40;
    private static final int BANK_BYTES = 28;
    private static final int FIRMWARE_FIRST = 1;

    private HestTable() {}

    /** Whether machine checks go to the firmware before the kernel sees them. Never throws; a table that contradicts itself is read up to there. */
    static boolean firmwareFirst(byte[] table) {
        ByteBuffer in = ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN);
        int at = SOURCES;
        while (at + 8 <= table.length) {
            int type = in.getShort(at);
            boolean machineChecks = type == 0 || type == 1 || type == 11;
            if (machineChecks && (in.get(at + 6) & FIRMWARE_FIRST) != 0) {
                return true;
            }
            int bytes =
                    switch (type) {
                        case 0 -> 40 + banks(in, at + 32);
                        case 1, 11 -> 48 + banks(in, at + 44);
                        case 2 -> 20;
                        case 6 -> 48;
                        case 7 -> 44;
                        case 8 -> 56;
                        case 9 -> 64;
                        case 10 -> 92;
                        default -> table.length;
                    };
            at += bytes;
        }
        return false;
    }

    private static int banks(ByteBuffer in, int offset) {
        return offset < in.capacity() ? (in.get(offset) & 0xff) * BANK_BYTES : 0;
    }
}
