package io.lockstep.replication.protection;

/**
 * When the next epoch ends. Output drives the epochs of a VM whose frames are held: as soon as one waits, but not before a least length, and never
 * so often that pauses take more than their share of the time; without output they stretch. Other VMs have a period. Capture thread.
 *
 * <p>The share is that of a window, not of each epoch: what an idle VM has not used, up to a window's worth, the next requests may use one right
 * after the other.
 *
 * <pre>
 *   credit  = what the share gave since the last pause, at most a window's worth, less the pauses
 *   a pause may begin once the credit is not negative
 * </pre>
 */
final class EpochPace {
    private static final long NS_PER_MS = 1_000_000;
    private static final int PERCENT = 100;

    /** 200 ms × 20 % = 40 ms of pauses: some thirty requests, if a pause takes 1.3 ms. */
    private static final long WINDOW_NS = 200 * NS_PER_MS;

    /** A pause counts for an eighth at first: one that was long by chance delays many epochs a little, not the next one for long. */
    private static final int SMOOTHING = 8;

    private final long minNs;
    private final long maxNs;
    private final long periodNs;
    private final int pauseSharePercent;
    private final long creditNsMax;
    private long beginNs;
    private long boundaryNs;
    private long pauseNs;
    private long creditNs;

    EpochPace(OutputSettings output, int periodMs) {
        minNs = output.minEpochMs() * NS_PER_MS;
        maxNs = output.maxEpochMs() * NS_PER_MS;
        periodNs = periodMs * NS_PER_MS;
        pauseSharePercent = output.maxPauseSharePercent();
        creditNsMax = share(WINDOW_NS);
        creditNs = creditNsMax;
    }

    /** The next epoch ends as soon as it can. */
    void now(long nowNs) {
        beginNs = nowNs - maxNs;
        boundaryNs = nowNs - periodNs;
        pauseNs = 0;
        creditNs = creditNsMax;
    }

    /** A pause has passed. */
    void paused(long pauseBeginNs, long pauseBoundaryNs, long tookNs) {
        pauseNs = pauseNs == 0 ? tookNs : pauseNs + (tookNs - pauseNs) / SMOOTHING;
        creditNs = Math.min(creditNsMax, creditNs + share(pauseBeginNs - beginNs)) - pauseNs;
        beginNs = pauseBeginNs;
        boundaryNs = Math.max(pauseBoundaryNs, pauseBeginNs);
    }

    private long share(long ns) {
        return ns * pauseSharePercent / PERCENT;
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
        long shareNs = creditNs >= 0 ? 0 : -creditNs * PERCENT / pauseSharePercent;
        if (!driven) {
            return Math.max(boundaryNs + periodNs, beginNs + shareNs);
        }
        return beginNs + Math.max(shareNs, wanted ? minNs : Math.max(minNs, maxNs));
    }
}
