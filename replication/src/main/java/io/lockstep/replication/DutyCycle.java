package io.lockstep.replication;

/**
 * How regularly a thread comes round its loop. One thread marks; any thread reads. Marking allocates nothing.
 *
 * <p>A stall is a round that took longer than {@link #STALL_NS}: no loop of ours waits so long by itself, so it stood still for something else, a
 * processor that was not to be had, a disk, or a lock.
 */
public final class DutyCycle {
    /** Twice the longest epoch of the default configuration, and more than any idle wait. */
    public static final long STALL_NS = 200_000_000L;

    private volatile long lastNs = System.nanoTime();
    private volatile long stalls;
    private volatile long stalledNs;

    /** The thread comes round. */
    public void mark(long nowNs) {
        long roundNs = nowNs - lastNs;
        if (roundNs > STALL_NS) {
            long count = stalls;
            long sumNs = stalledNs;
            stalls = count + 1;
            stalledNs = sumNs + roundNs;
        }
        lastNs = nowNs;
    }

    /** When it last came round, {@link System#nanoTime()}. */
    public long lastNs() {
        return lastNs;
    }

    /** Rounds that took too long. */
    public long stalls() {
        return stalls;
    }

    /** How long all of those took. */
    public long stalledNs() {
        return stalledNs;
    }
}
