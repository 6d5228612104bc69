package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.SessionHello;
import java.nio.file.Path;
import java.util.List;

/** Starts a QEMU that waits to become the VM. */
@FunctionalInterface
public interface StandbyFactory {
    /**
     * Returns when it waits for its state; takes up to seconds. A replica has at most one at a time.
     *
     * @param hello the VM as its primary described it
     * @param blockFiles the file of each block of the stream, by its index: the standby maps those of main RAM blocks and opens those of
     *     disks; it owns them by uid
     */
    Standby spawn(SessionHello hello, List<Path> blockFiles) throws LockstepException;
}
