package io.lockstep.replication.protection;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.HostIdentity;
import java.nio.file.Path;

/**
 * What the operator decides of one VM's protection; times in milliseconds.
 *
 * @param epochMs time from one boundary to the next where no held output drives the epochs, 1 to 10,000
 * @param output what becomes of the VM's network output
 * @param pauseMsMax longest time that the VM may be held in a pause before the hold is let go and the epoch is void
 * @param verifyPauseMsMax the same for the one stop of {@code verify}, which reads all of memory
 * @param heartbeatMs a heartbeat is due when nothing was sent for this long
 * @param failureTimeoutMs silence of the peer after which the session is given up
 * @param agentRestartMs how long the peer waits for a crashed agent before it reports it lost
 * @param reconnectMs time between two attempts to reach the peer
 * @param scrubPagesPerEpoch pages hashed on both sides at each boundary; 0 turns scrubbing off
 * @param epochsInFlightMax boundaries that may wait for their acknowledgement, 1 to {@link #EPOCHS_IN_FLIGHT_LIMIT}
 * @param ringSlots page slots of the pipeline, a power of two; {@link #pagesHeldMax()} of them for the pages of a short pause
 * @param pageCacheBytes memory for contents that deltas are made against
 * @param encoderThreads threads that encode pages
 * @param scanThreads threads that list written pages of large memory, 1 to 16
 * @param preCopy whether pages travel ahead of the stop, too
 * @param tracker {@code auto} or a tracker's name
 * @param stateDirectory directory on tmpfs for what must outlive this process, but not QEMU
 * @param host that this runs on
 */
public record ProtectionSettings(
        int epochMs,
        OutputSettings output,
        int pauseMsMax,
        int verifyPauseMsMax,
        int heartbeatMs,
        int failureTimeoutMs,
        int agentRestartMs,
        int reconnectMs,
        int scrubPagesPerEpoch,
        int epochsInFlightMax,
        int ringSlots,
        long pageCacheBytes,
        int encoderThreads,
        int scanThreads,
        boolean preCopy,
        String tracker,
        Path stateDirectory,
        HostIdentity host) {
    /** Each epoch in flight has a bitmap in the ledger and a device-state buffer in the pipeline. */
    public static final int EPOCHS_IN_FLIGHT_LIMIT = 4;

    /** Slots that a boundary needs besides its pages: the epoch's begin and end. */
    static final int CONTROL_SLOTS = 4;

    /** Of the ring, in sixteenths: what pages that are read in every hold may fill. */
    private static final int RING_SHARE_HOT = 8;

    /** As above: what a hold may fill, hot pages and others; the rest is what pre-copies and the epoch before may still occupy. */
    private static final int RING_SHARE_HELD = 9;

    private static final int RING_SHARES = 16;

    public ProtectionSettings {
        check("epochMs", epochMs, 1, 10_000);
        check("pauseMsMax", pauseMsMax, 10, 60_000);
        check("verifyPauseMsMax", verifyPauseMsMax, 10, 600_000);
        check("heartbeatMs", heartbeatMs, 1, 10_000);
        check("failureTimeoutMs", failureTimeoutMs, 20, 600_000);
        check("scrubPagesPerEpoch", scrubPagesPerEpoch, 0, Math.min(4_096, scrubPagesMax(ringSlots)));
        check("scanThreads", scanThreads, 1, 16);
        check("epochsInFlightMax", epochsInFlightMax, 1, EPOCHS_IN_FLIGHT_LIMIT);
        if (heartbeatMs * 2 > failureTimeoutMs) {
            throw new IllegalArgumentException("heartbeatMs " + heartbeatMs + " is more than half of failureTimeoutMs "
                    + failureTimeoutMs + ": one late heartbeat would end the session");
        }
    }

    /** Most pages that a short hold copies. */
    public int pagesHeldMax() {
        return pagesHeldMax(ringSlots);
    }

    /**
     * Most pages that are read in every hold instead of being watched. Half of the page cache has room for them: of one that it does not hold nobody
     * can tell whether it changed, so that it would travel whole in every epoch.
     */
    public int hotPagesMax() {
        long cachedMax = pageCacheBytes / RamBlock.PAGE_BYTES / 2;
        return (int) Math.min(cachedMax, (long) ringSlots / RING_SHARES * RING_SHARE_HOT);
    }

    /** Most pages that an epoch may scrub with a ring of so many slots: a hold's pages must have room beside them. */
    public static int scrubPagesMax(int ringSlots) {
        return ringSlots - pagesHeldMax(ringSlots) - CONTROL_SLOTS;
    }

    private static int pagesHeldMax(int ringSlots) {
        return ringSlots / RING_SHARES * RING_SHARE_HELD;
    }

    private static void check(String name, int value, int min, int max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(name + " " + value + " is not in " + min + ".." + max);
        }
    }
}
