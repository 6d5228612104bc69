package io.lockstep.replication.replica;

/**
 * A drill that went well: the guest ran from the replica. Times in nanoseconds, one after the other.
 *
 * @param epoch that it was resumed from
 * @param snapshotNs until the replica's state at a boundary was held
 * @param copyNs copying its memory
 * @param startNs starting QEMU
 * @param loadNs loading memory that is not mapped, and the device state
 * @param runNs from the order to run until the guest's processors had executed for several windows of time
 * @param removeNs throwing everything away
 * @param copiedBytes of memory that were not zero
 * @param processors of the guest
 * @param busyNs for which they executed
 */
public record DrillResult(
        String vm,
        long epoch,
        long snapshotNs,
        long copyNs,
        long startNs,
        long loadNs,
        long runNs,
        long removeNs,
        long copiedBytes,
        int processors,
        long busyNs) {
    /** All of it. */
    public long totalNs() {
        return snapshotNs + copyNs + startNs + loadNs + runNs + removeNs;
    }
}
