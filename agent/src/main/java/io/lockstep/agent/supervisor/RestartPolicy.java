package io.lockstep.agent.supervisor;

/** When a process that ended is started again: at once, unless it ends again and again before it is in service. One thread. */
final class RestartPolicy {
    static final long DELAY_NS_MIN = 100_000_000L;
    static final long DELAY_NS_MAX = 10_000_000_000L;

    private int failedStarts;

    /**
     * The process has ended.
     *
     * @param wasInService whether it had said that it was ready
     * @return time to wait before the next start
     */
    long ended(boolean wasInService) {
        if (wasInService) {
            failedStarts = 0;
            return 0;
        }
        failedStarts++;
        // The first two are bad luck: kill -9 twice in a row must not cost a VM its protection for longer than a start.
        int doublings = failedStarts - 3;
        return doublings < 0 ? 0 : Math.min(DELAY_NS_MAX, DELAY_NS_MIN << Math.min(doublings, 16));
    }
}
