package io.lockstep.replication.hypervisor;

import io.lockstep.replication.RamBlock;
import java.nio.file.Path;
import java.util.List;

/**
 * What a standby must be.
 *
 * @param commandLine how it is started
 * @param directory for sockets, log and record; made if it is not there
 * @param workingDirectory the primary's; used if it exists here
 * @param memoryFiles the replica's files, which QEMU must be able to write
 * @param uid user that the primary's QEMU runs as
 * @param gid its group
 * @param blocks the primary's RAM blocks
 * @param devices the primary's, as {@link QemuFacts#pluggedDevices()}
 * @param machineType the primary's, resolved
 * @param version the primary's QEMU
 * @param sharedDisks whether it has disks that the primary's QEMU has open: they are activated by the order to run, not before
 */
public record StandbySpec(
        StandbyCommandLine commandLine,
        Path directory,
        Path workingDirectory,
        List<Path> memoryFiles,
        int uid,
        int gid,
        List<RamBlock> blocks,
        List<String> devices,
        String machineType,
        QemuVersion version,
        boolean sharedDisks) {
    public StandbySpec {
        memoryFiles = List.copyOf(memoryFiles);
        blocks = List.copyOf(blocks);
        devices = List.copyOf(devices);
    }
}
