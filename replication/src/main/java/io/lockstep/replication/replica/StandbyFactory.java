package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.SessionHello;
import java.nio.file.Path;
import java.util.List;

/** Starts a QEMU that waits to become the VM, and knows what became of the one before. */
public interface StandbyFactory {
    /**
     * Returns when it waits for its state; takes up to seconds. A replica has at most one at a time.
     *
     * @param hello the VM as its primary described it
     * @param blockFiles the file of each block of the stream, by its index: the standby maps those of main RAM blocks and opens those of
     *     disks; it owns them by uid
     */
    Standby spawn(SessionHello hello, List<Path> blockFiles) throws LockstepException;

    /**
     * Whether a standby, which an earlier process of this agent was about to make the VM, was told to run; if that process ended while it told it, it is
     * told again.
     *
     * @return false: its guest has executed nothing. True also if nothing is known of it
     * @throws LockstepException if that cannot be found out; it may be the VM then
     */
    boolean toldToRun(String vmName, ProcessIdentity standby) throws LockstepException;
}
