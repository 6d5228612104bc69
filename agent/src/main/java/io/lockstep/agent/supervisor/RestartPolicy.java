package io.lockstep.agent.supervisor;

/** When a process that ended is started again: at once, unless it ends again and again without having been in service. One thread. */
final class RestartPolicy {
    /** In service for longer than this, it was no failed start. */
    static final long HEALTHY_NS = 5_000_000_000L;

    static final long DELAY_NS_MIN = 100_000_000L;
    static final long DELAY_NS_MAX = 10_000_000_000L;

    private int failedStarts;

    /**
     * The process has ended.
     *
     * @param inServiceNs how long it was ready; negative if never
     * @return time to wait before the next start
     */
    long ended(long inServiceNs) {
        if (inServiceNs >= HEALTHY_NS) {
            failedStarts = 0;
            return 0;
        }
        failedStarts++;
        // The first two quick ends are bad luck: kill -9 twice in a row must not cost a VM its protection for longer
        // than a start.
        int doublings = failedStarts - 3;
        return doublings < 0 ? 0 : Math.min(DELAY_NS_MAX, DELAY_NS_MIN << Math.min(doublings, 16));
    }
}
