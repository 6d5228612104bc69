package io.lockstep.replication;

/**
 * How regularly a thread comes round its loop. One thread marks; any thread reads. Marking allocates nothing.
 *
 * <p>A stall is a round that took longer than {@link #STALL_NS}, or what was given instead, beyond what the thread waits for by itself: it stood
 * still for something else, a processor that was not to be had, a disk, the network, or a lock. Where one thread takes another's place, such as
 * that of the next session, both may mark for a moment: no stall is lost.
 */
public final class DutyCycle {
    /** Twice the longest epoch of the default configuration, and more than any idle wait. */
    public static final long STALL_NS = 200_000_000L;

    private static final long IDLE = Long.MIN_VALUE; // the thread waits, for as long as it may be

    private final long stallNs;
    private volatile long lastNs;
    private volatile long stalls;
    private volatile long stalledNs;

    /** Of a thread whose first round begins now. */
    public DutyCycle() {
        this(System.nanoTime(), STALL_NS);
    }

    private DutyCycle(long lastNs, long stallNs) {
        this.lastNs = lastNs;
        this.stallNs = stallNs;
    }

    /** Of a thread that waits for work, or does not run yet. */
    public static DutyCycle idle() {
        return idle(STALL_NS);
    }

    /** As {@link #idle()}, with another bound. */
    public static DutyCycle idle(long stallNs) {
        return new DutyCycle(IDLE, stallNs);
    }

    /** The thread comes round, and goes on. */
    public void mark(long nowNs) {
        mark(nowNs, nowNs);
    }

    /** The thread comes round, and waits until then by itself, unless it is woken before: the next round begins then. */
    public void mark(long nowNs, long untilNs) {
        long last = lastNs;
        lastNs = untilNs;
        if (last != IDLE) {
            took(nowNs - last);
        }
    }

    /** The thread comes round, and waits for work: the next round begins with the next mark. */
    public void rest(long nowNs) {
        mark(nowNs, IDLE);
    }

    /** Something took so long: for work that several threads do. Any thread. */
    public void took(long roundNs) {
        if (roundNs > stallNs) {
            stalled(roundNs);
        }
    }

    private synchronized void stalled(long roundNs) {
        long count = stalls;
        long sumNs = stalledNs;
        stalls = count + 1;
        stalledNs = sumNs + roundNs;
    }

    /** When it last came round, {@link System#nanoTime()}; of a thread that never waits without end. */
    public long lastNs() {
        return lastNs;
    }

    /** How long its round has taken by now; 0 while it waits. */
    public long ageNs(long nowNs) {
        long last = lastNs;
        return last == IDLE ? 0 : Math.max(0, nowNs - last);
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
