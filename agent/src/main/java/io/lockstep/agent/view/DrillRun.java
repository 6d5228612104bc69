package io.lockstep.agent.view;

/**
 * A drill that went well: the guest ran from the replica. Times in milliseconds, one after the other.
 *
 * @param epoch that the second standby was resumed from
 * @param snapshotMs until the replica's state at a boundary was held
 * @param copyMs copying its memory
 * @param startMs starting QEMU
 * @param loadMs loading its state
 * @param runMs from the order to run until the guest's processors had executed for several windows of time
 * @param removeMs throwing everything away
 * @param copiedBytes of memory that were not zero
 * @param processors of the guest
 * @param busyMs for which they executed
 */
public record DrillRun(
        String vm,
        long epoch,
        double snapshotMs,
        double copyMs,
        double startMs,
        double loadMs,
        double runMs,
        double removeMs,
        double totalMs,
        long copiedBytes,
        int processors,
        double busyMs) {}
