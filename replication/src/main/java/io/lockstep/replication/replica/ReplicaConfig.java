package io.lockstep.replication.replica;

import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.wire.AckLevel;
import java.nio.file.Path;

/**
 * What the operator sets for all replicas of this host.
 *
 * @param stateDirectory metadata and journals, a directory per VM; on a disk
 * @param memoryDirectory the replicas' memory, a directory per VM; on tmpfs
 * @param journal bounds of each journal
 * @param ackLevel what an acknowledgement means
 * @param applyLagMax epochs that may be committed and not yet applied before acknowledgements wait; 1 to 10,000
 * @param fenceTimeoutMs longest run of the fence command
 * @param fenceRetryMs time between a fence command that failed and its next run, while the silence lasts
 * @param standbyTimeoutMs longest wait for a standby at a promotion
 * @param host that this runs on: its own VMs get no replica here
 */
public record ReplicaConfig(
        Path stateDirectory,
        Path memoryDirectory,
        JournalLimits journal,
        AckLevel ackLevel,
        int applyLagMax,
        long fenceTimeoutMs,
        long fenceRetryMs,
        long standbyTimeoutMs,
        HostIdentity host) {
    /** The images of the replicas' disks, a directory per VM. */
    public Path diskDirectory() {
        return stateDirectory.resolveSibling("disks");
    }

    /** The defaults under two directories. */
    public static ReplicaConfig defaults(Path stateDirectory, Path memoryDirectory) {
        return new ReplicaConfig(
                stateDirectory,
                memoryDirectory,
                JournalLimits.defaults(),
                AckLevel.MEMORY,
                8,
                10_000,
                5_000,
                10_000,
                HostIdentity.UNKNOWN);
    }
}
