package io.lockstep.replication.replica;

import java.util.concurrent.atomic.AtomicLong;

/** Totals of one replica since this agent started. Any thread. */
final class ReplicaCounters {
    final AtomicLong sessions = new AtomicLong();
    final AtomicLong fullCopies = new AtomicLong();
    final AtomicLong epochsCommitted = new AtomicLong();
    final AtomicLong sessionErrors = new AtomicLong();
    final AtomicLong scrubbedPages = new AtomicLong();
    final AtomicLong scrubMismatches = new AtomicLong();
    final AtomicLong standbySpawns = new AtomicLong();
    final AtomicLong fenceRuns = new AtomicLong();

    ReplicaStatus.Totals snapshot() {
        return new ReplicaStatus.Totals(
                sessions.get(),
                fullCopies.get(),
                epochsCommitted.get(),
                sessionErrors.get(),
                scrubbedPages.get(),
                scrubMismatches.get(),
                standbySpawns.get(),
                fenceRuns.get());
    }
}
