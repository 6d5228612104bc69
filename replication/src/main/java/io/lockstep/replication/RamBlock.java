package io.lockstep.replication;

/**
 * One migratable RAM block of a virtual machine, as both sides of the stream know it.
 *
 * @param index position in the session's list of blocks, from 0
 * @param name QEMU's name of it, e.g. {@code pc.ram}, {@code 0000:00:02.0/vga.vram}, {@code /rom@etc/acpi/tables}
 * @param lengthBytes used length, a multiple of {@link #PAGE_BYTES}
 * @param pageBytes size of a page of its backing: 4096, or 2097152 for hugetlbfs
 * @param main whether the standby maps the replica's file as this block (machine memory), or gets its content at promotion
 */
public record RamBlock(int index, String name, long lengthBytes, int pageBytes, boolean main) {
    /** The unit of tracking, copying and encoding, whatever the backing's page size. */
    public static final int PAGE_BYTES = 4096;

    /** Most blocks that one VM may have: the index travels as 16 bits. */
    public static final int BLOCKS_MAX = 1 << 12;

    public RamBlock {
        if (index < 0 || index >= BLOCKS_MAX) {
            throw new IllegalArgumentException("RAM block index " + index + " not in 0.." + (BLOCKS_MAX - 1));
        }
        if (lengthBytes <= 0 || lengthBytes % PAGE_BYTES != 0) {
            throw new IllegalArgumentException(
                    "RAM block " + name + " length " + lengthBytes + " is no positive multiple of " + PAGE_BYTES);
        }
    }

    /** Pages of {@link #PAGE_BYTES} in this block. */
    public int pageCount() {
        return Math.toIntExact(lengthBytes / PAGE_BYTES);
    }
}
