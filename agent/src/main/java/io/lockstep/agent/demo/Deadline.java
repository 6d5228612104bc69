package io.lockstep.agent.demo;

import java.time.Duration;
import java.util.concurrent.locks.LockSupport;

/** Waits for conditions, never without a bound. */
public final class Deadline {
    /** How often a condition is looked at: short against what is waited for (processes start, agents answer), long against looking. */
    private static final long POLL_NS = 5_000_000;

    private Deadline() {}

    /** A condition that may fail for good. */
    @FunctionalInterface
    public interface Condition {
        boolean holds() throws DemoFailure;
    }

    /** Returns when the condition holds; fails, naming {@code what}, when the time is over. */
    public static void await(String what, Duration limit, Condition condition)
            throws DemoFailure, InterruptedException {
        await(what, limit, POLL_NS, condition);
    }

    /**
     * As above, for what is measured meanwhile.
     *
     * @param pollNs how often the condition is looked at, nanoseconds: each look costs whoever answers
     */
    public static void await(String what, Duration limit, long pollNs, Condition condition)
            throws DemoFailure, InterruptedException {
        long endNs = System.nanoTime() + limit.toNanos();
        while (!condition.holds()) {
            if (System.nanoTime() - endNs > 0) {
                throw new DemoFailure(what + ": not within " + limit.toMillis() + " ms");
            }
            if (Thread.interrupted()) {
                throw new InterruptedException("while waiting: " + what);
            }
            LockSupport.parkNanos(pollNs);
        }
    }
}
