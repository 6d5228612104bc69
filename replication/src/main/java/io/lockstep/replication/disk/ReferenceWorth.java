package io.lockstep.replication.disk;

import io.lockstep.replication.pipeline.Encoding;
import io.lockstep.replication.pipeline.PipelineCounters;
import java.util.function.LongSupplier;

/**
 * Whether writes to disks should wait for the end of their epoch, because then most of them need not travel: their content is in the memory that
 * the peer holds by then. Decided by what came of those that did wait; some always do. One thread.
 */
final class ReferenceWorth {
    /** With each epoch, what came before weighs an eighth less. */
    private static final int FORGOTTEN_SHIFT = 3;

    private final LongSupplier sentReferable;
    private final LongSupplier sentReferred;
    private long lastReferable;
    private long lastReferred;
    private long referable;
    private long referred;

    ReferenceWorth(PipelineCounters counters) {
        this(counters::referable, () -> counters.pages(Encoding.REFERENCE));
    }

    ReferenceWorth(LongSupplier sentReferable, LongSupplier sentReferred) {
        this.sentReferable = sentReferable;
        this.sentReferred = sentReferred;
    }

    /** An epoch ends: takes what has come of those that were sent. */
    void look() {
        long nowReferable = sentReferable.getAsLong();
        long nowReferred = sentReferred.getAsLong();
        referable += nowReferable - lastReferable - (referable >> FORGOTTEN_SHIFT);
        referred += nowReferred - lastReferred - (referred >> FORGOTTEN_SHIFT);
        lastReferable = nowReferable;
        lastReferred = nowReferred;
    }

    /** Whether at least half of the pages were found in memory; nothing known counts as so. */
    boolean pay() {
        return 2 * referred >= referable;
    }
}
