package io.lockstep.replication.protection;

/**
 * When the next epoch ends. Output drives the epochs of a VM whose frames are held: as soon as one waits, but not before a least length,
 * and never so often that pauses take more than their share of the time; without output they stretch. Other VMs have a period. Capture
 * thread.
 */
final class EpochPace {
    private static final long NS_PER_MS = 1_000_000;
    private static final int PERCENT = 100;

    /** A pause counts for an eighth: one that was long by chance does not stretch the next epochs. */
    private static final int SMOOTHING = 8;

    private final long minNs;
    private final long maxNs;
    private final long periodNs;
    private final int pauseSharePercent;
    private long beginNs;
    private long boundaryNs;
    private long pauseNs;

    EpochPace(OutputSettings output, int periodMs) {
        minNs = output.minEpochMs() * NS_PER_MS;
        maxNs = output.maxEpochMs() * NS_PER_MS;
        periodNs = periodMs * NS_PER_MS;
        pauseSharePercent = output.maxPauseSharePercent();
    }

    /** The next epoch ends as soon as it can. */
    void now(long nowNs) {
        beginNs = nowNs - maxNs;
        boundaryNs = nowNs - periodNs;
        pauseNs = 0;
    }

    /** A pause has passed. */
    void paused(long pauseBeginNs, long pauseBoundaryNs, long tookNs) {
        beginNs = pauseBeginNs;
        boundaryNs = Math.max(pauseBoundaryNs, pauseBeginNs);
        pauseNs = pauseNs == 0 ? tookNs : pauseNs + (tookNs - pauseNs) / SMOOTHING;
    }

    /**
     * When the VM is to be stopped next.
     *
     * @param driven whether its output is held
     * @param wanted whether some of it waits
     * @param urgent whether there is hardly room for more
     */
    long dueNs(boolean driven, boolean wanted, boolean urgent) {
        if (urgent) {
            return boundaryNs;
        }
        long shareNs = pauseNs * PERCENT / pauseSharePercent;
        if (!driven) {
            return Math.max(boundaryNs + periodNs, beginNs + shareNs);
        }
        return beginNs + Math.max(shareNs, wanted ? minNs : Math.max(minNs, maxNs));
    }
}
