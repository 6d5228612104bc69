package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QemuDrill;
import io.lockstep.replication.link.SessionHello;
import java.nio.file.Path;
import java.util.List;

/** Starts the QEMUs of drills. */
public interface DrillFactory {
    /** Where the drill of a VM has its sockets; a part of it is QEMU's user's. */
    Path directory(String vm);

    /**
     * Starts one, in the calling thread, with which it ends.
     *
     * @param memoryFiles the file of each RAM block, by its index; QEMU maps those of main ones
     * @param diskSockets the NBD socket of each replicated disk, by its index
     */
    QemuDrill spawn(SessionHello hello, List<Path> memoryFiles, List<Path> diskSockets) throws LockstepException;

    /** Ends and removes what drills of an earlier life of this agent left. */
    void cleanUp();
}
