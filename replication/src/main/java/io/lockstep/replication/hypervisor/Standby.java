package io.lockstep.replication.hypervisor;

import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;

/** A QEMU on the peer that waits to become the VM. One load per process. Calls from one thread, but for the queries. */
public interface Standby extends AutoCloseable {
    /** Whether the process lives and waits for its state; any thread. */
    boolean ready();

    /** Its process id; any thread. */
    long pid();

    /**
     * Copies content into a RAM block that the standby does not map from the replica's file.
     *
     * @param name the block's QEMU name
     * @param content a direct buffer from position to limit, for offsetBytes onwards
     */
    void writeBlock(String name, long offsetBytes, ByteBuffer content) throws LockstepException;

    /**
     * Loads the device state, as {@code xen-save-devices-state} wrote it, and holds the VM before its first instruction.
     * RAM must be in place.
     */
    void load(ByteBuffer deviceState) throws LockstepException;

    /** Notes that the order to run comes next, for a later life of the agent; until then the guest has certainly not executed. */
    void recordOrder() throws LockstepException;

    /** Lets the loaded VM run, once the order is recorded; returns when QEMU reports it running. */
    void run() throws LockstepException;

    /** The VM belongs to itself from now on, running or paused: nobody here ends it, and its monitor is free for others. */
    void release() throws LockstepException;

    /** Ends a standby that was not run; leaves a VM that was run alone. */
    @Override
    void close();
}
