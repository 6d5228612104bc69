package io.lockstep.agent.api;

import java.util.function.LongSupplier;

/**
 * What a request costs beside its answer: its connection, and what the HTTP server does for it. It is what the API's threads cost more than the answers
 * that were counted, spread over these. Any thread.
 */
final class Overhead {
    /** As long as nothing was measured. */
    static final long FIRST_NS = 100_000L;

    /** A span with few requests tells more of the machine than of them. */
    static final int REQUESTS_MIN = 50;

    /** One odd span must not silence the API. */
    static final long LIMIT_NS = 5_000_000L;

    private final LongSupplier allNs;
    private long perRequestNs = FIRST_NS;
    private long allBeforeNs;
    private long answersNs;
    private int answers;

    /** @param allNs what all of the API's threads have cost until now */
    Overhead(LongSupplier allNs) {
        this.allNs = allNs;
    }

    /** An answer has cost so much. */
    synchronized void answered(long costNs) {
        answersNs += costNs;
        answers++;
        if (answers >= REQUESTS_MIN) {
            long all = allNs.getAsLong();
            long beside = (all - allBeforeNs - answersNs) / answers;
            perRequestNs += (Math.max(0, Math.min(LIMIT_NS, beside)) - perRequestNs) / 2;
            allBeforeNs = all;
            answersNs = 0;
            answers = 0;
        }
    }

    /** Of one request, nanoseconds of a processor. */
    synchronized long perRequestNs() {
        return perRequestNs;
    }
}
