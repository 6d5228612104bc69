package io.lockstep.agent.api;

/**
 * Keeps the API's work to a share of one processor, however many clients ask: the VMs' pauses, and the collector that stops every thread when
 * enough was allocated, must not notice them. A client that asks now and then is never delayed. Any thread.
 *
 * <p>A leaky bucket of processor time. A request that comes when it is full is told how long to wait; all that wait are served in their order.
 */
final class Throttle {
    /** Of one processor. */
    private static final int SHARE = 5;

    /** Work that is done without delay after a rest: a screen's worth of commands. */
    private static final long BURST_NS = 200_000_000L;

    /** What parsing a request costs that the handler does not see. */
    private static final long OVERHEAD_NS = 100_000L;

    /** No estimate is above this: one slow answer must not silence the API. */
    private static final long ESTIMATE_NS_MAX = 20_000_000L;

    /** Nobody waits longer: half of what a connection may be idle, so that waiting ends none. */
    private static final long WAIT_NS_MAX = 5_000_000_000L;

    private long freeNs;
    private long estimateNs = 300_000L;
    private boolean begun;

    /**
     * Books a request's work.
     *
     * @return how long it has to wait, nanoseconds; 0 if not at all
     */
    synchronized long book(long nowNs) {
        if (!begun || freeNs - nowNs < 0) {
            begun = true;
            freeNs = nowNs;
        }
        long waitNs = Math.min(WAIT_NS_MAX, Math.max(0, freeNs - nowNs - BURST_NS * SHARE));
        freeNs = Math.min(freeNs + estimateNs * SHARE, nowNs + WAIT_NS_MAX + BURST_NS * SHARE);
        return waitNs;
    }

    /** A request has cost so much processor time, nanoseconds. */
    synchronized void done(long costNs) {
        long bounded = Math.min(ESTIMATE_NS_MAX, Math.max(0, costNs) + OVERHEAD_NS);
        freeNs += (bounded - estimateNs) * SHARE;
        estimateNs += (bounded - estimateNs) / 8;
    }
}
