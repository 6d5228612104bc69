package io.lockstep.replication.memory;

import io.lockstep.replication.RamBlock;

/**
 * Where a RAM block lies in the process of its QEMU.
 *
 * @param block the block
 * @param hostAddress address of its first byte in QEMU's address space, a multiple of the block's page size
 */
public record MemoryRegion(RamBlock block, long hostAddress) {
    public MemoryRegion {
        if (hostAddress <= 0 || hostAddress % RamBlock.PAGE_BYTES != 0) {
            throw new IllegalArgumentException("RAM block " + block.name() + " at 0x" + Long.toHexString(hostAddress)
                    + " is not at a multiple of " + RamBlock.PAGE_BYTES);
        }
    }

    /** First address behind the block. */
    public long hostEnd() {
        return hostAddress + block.lengthBytes();
    }
}
