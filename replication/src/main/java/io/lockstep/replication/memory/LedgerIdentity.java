package io.lockstep.replication.memory;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.RamBlock;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * What a {@link DirtyLedger} is about; a ledger of another VM, process or memory layout is of no use.
 *
 * @param vmId stable identifier of the VM
 * @param process its QEMU
 * @param regions its RAM blocks and where they lie
 */
public record LedgerIdentity(String vmId, ProcessIdentity process, List<MemoryRegion> regions) {
    /** CRC32C over all of it. */
    int checksum() {
        StringBuilder text = new StringBuilder(256);
        text.append(vmId)
                .append('\n')
                .append(process.pid())
                .append(' ')
                .append(process.startTicks())
                .append('\n');
        for (MemoryRegion region : regions) {
            RamBlock block = region.block();
            text.append(block.index())
                    .append(' ')
                    .append(block.name())
                    .append(' ')
                    .append(block.lengthBytes())
                    .append(' ')
                    .append(block.pageBytes())
                    .append(' ')
                    .append(region.hostAddress())
                    .append('\n');
        }
        CRC32C crc = new CRC32C();
        crc.update(text.toString().getBytes(StandardCharsets.UTF_8));
        return (int) crc.getValue();
    }
}
