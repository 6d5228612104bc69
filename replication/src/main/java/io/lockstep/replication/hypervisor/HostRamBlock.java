package io.lockstep.replication.hypervisor;

import io.lockstep.replication.RamBlock;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A RAM block and where it lies in a QEMU process of this host.
 *
 * @param block what both sides know of it
 * @param hostAddress its first byte in QEMU's address space
 * @param shared whether it is a shared mapping: only then do a discard's hole and other mappers matter
 * @param file of a shared block, as {@code /proc/PID/map_files/...} which opens even deleted files and memfds; null for private memory
 * @param fileOffset of the block's first byte in that file
 */
public record HostRamBlock(
        RamBlock block,
        long hostAddress,
        boolean shared,
        @Nullable Path file,
        long fileOffset) {}
