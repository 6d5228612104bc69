package io.lockstep.telemetry.guest;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;

/**
 * The part of a firmware that reports errors: an ACPI table that names one error source, polled every second, and the blocks that this source
 * shows. ACPI 6.5, 18.3.2.7 (generic hardware error source) and 18.3.2.7.1 (generic error status block); UEFI 2.10, N.2.2 (section descriptor)
 * and N.2.5 (memory error section).
 */
final class Firmware {
    /** Where the kernel looks for the block's address: a page, and the block in the next one. Memory that the guest must not use itself. */
    static final long BASE = 0x2000_0000L;

    static final int PAGE_BYTES = 4096;

    static final long BLOCK = BASE + PAGE_BYTES;

    /** Kinds of memory errors (UEFI 2.10, N.2.5, "Memory Error Type"). */
    static final int SINGLE_BIT = 2;

    static final int MULTI_BIT = 3;
    static final int MIRROR_BROKEN = 11;
    static final int SPARING = 12;

    private static final UUID MEMORY = UUID.fromString("a5bc1114-6f64-4ede-b863-3e83ed7c83b1");
    private static final int RECOVERABLE = 0;
    private static final int CORRECTED = 2;
    private static final int TABLE_HEAD_BYTES = 36;
    private static final int MEMORY_BYTES = 80;

    /** Before revision 3.0, which adds a time. */
    private static final int ENTRY_BYTES = 64;

    private static final int FRU_BYTES = 20;

    private Firmware() {}

    /** The table for QEMU's {@code -acpitable file=}. */
    static byte[] table() {
        byte[] bytes = new byte[TABLE_HEAD_BYTES + 4 + 64];
        ByteBuffer table = little(bytes);
        table.put("HEST".getBytes(US_ASCII)).putInt(bytes.length).put((byte) 1).put((byte) 0);
        table.put("BOCHS BXPC    ".getBytes(US_ASCII)).putInt(1);
        table.put("BXPC".getBytes(US_ASCII)).putInt(1);
        // One source: generic, number 0, related to none, enabled, one record of one section of at most a page.
        table.putInt(1);
        table.putShort((short) 9)
                .putShort((short) 0)
                .putShort((short) 0xffff)
                .put((byte) 0)
                .put((byte) 1);
        table.putInt(1).putInt(1).putInt(PAGE_BYTES);
        // The address of the block's address: system memory, 64 bits, read as a whole.
        table.put((byte) 0).put((byte) 64).put((byte) 0).put((byte) 4).putLong(BASE);
        // Its notification: polled, a structure of 28 bytes, every 1000 ms.
        table.put((byte) 0).put((byte) 28).putShort((short) 0).putInt(1000);
        table.position(table.position() + 20);
        table.putInt(PAGE_BYTES);
        byte sum = 0;
        for (byte b : bytes) {
            sum += b;
        }
        bytes[9] = (byte) -sum;
        return bytes;
    }

    /** What stands at {@link #BASE} from the start: where the block is, and no block. */
    static byte[] addressPage() {
        byte[] pages = new byte[2 * PAGE_BYTES];
        little(pages).putLong(BLOCK);
        return pages;
    }

    /** A block that tells of a memory error on node 0, card 1, module 2, bank 3, row 0x1234, column 0x56. */
    static byte[] memory(int type, long address, boolean corrected, String fru) {
        byte[] bytes = new byte[MEMORY_BYTES];
        bytes[72] = (byte) type;
        ByteBuffer section = little(bytes);
        // Valid: status, address, its mask, node, card, module, bank, row, column, type, rank.
        section.putLong(bits(0, 1, 2, 3, 4, 5, 6, 8, 9, 14, 15)).putLong(4 << 8);
        section.putLong(address).putLong(-PAGE_BYTES);
        // Node, card, module, bank, device, row, column, bit.
        for (int number : new int[] {0, 1, 2, 3, 0, 0x1234, 0x56, 0}) {
            section.putShort((short) number);
        }
        return block(MEMORY, bytes, corrected, fru);
    }

    /** A block with a section that only its vendor knows. */
    static byte[] vendor(String type, byte[] content, String fru) {
        return block(UUID.fromString(type), content, true, fru);
    }

    private static byte[] block(UUID type, byte[] section, boolean corrected, String fru) {
        int severity = corrected ? CORRECTED : RECOVERABLE;
        int entryBytes = ENTRY_BYTES + section.length;
        byte[] bytes = new byte[20 + entryBytes];
        ByteBuffer block = little(bytes);
        // One entry, corrected or not; no raw data.
        block.putInt((corrected ? 2 : 1) | 1 << 4)
                .putInt(0)
                .putInt(0)
                .putInt(entryBytes)
                .putInt(severity);
        guid(block, type);
        // Revision 2.1; FRU number and text are valid.
        block.putInt(severity)
                .putShort((short) 0x0201)
                .put((byte) 3)
                .put((byte) 0)
                .putInt(section.length);
        guid(block, new UUID(0, 5));
        byte[] name = fru.getBytes(US_ASCII);
        block.put(name).position(block.position() + FRU_BYTES - name.length);
        block.put(section);
        return bytes;
    }

    /** As UEFI stores it: the first three fields little-endian, the rest as it is written. */
    private static void guid(ByteBuffer to, UUID guid) {
        long high = guid.getMostSignificantBits();
        to.putInt((int) (high >>> 32)).putShort((short) (high >>> 16)).putShort((short) high);
        to.putLong(Long.reverseBytes(guid.getLeastSignificantBits()));
    }

    private static long bits(int... numbers) {
        long bits = 0;
        for (int number : numbers) {
            bits |= 1L << number;
        }
        return bits;
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
