package io.lockstep.replication.replica;

import io.lockstep.replication.wire.AckLevel;
import org.jspecify.annotations.Nullable;

/**
 * One replica at a moment.
 *
 * @param vm its name
 * @param state what it is
 * @param reason of the last change of state
 * @param sinceMs when the state was entered, milliseconds since 1970
 * @param promotable whether a failover without force of data would find a consistent replica
 * @param fingerprint of the primary's certificate; empty if unknown
 * @param ramBytes of all its blocks
 * @param committedEpoch last whole epoch; -1 if none
 * @param appliedEpoch last epoch in the files; -1 if none
 * @param ackLevel what an acknowledgement means
 * @param journalEpochs committed epochs that the journal holds
 * @param journalBytes in its segments
 * @param standbyReady whether a QEMU waits to become the VM
 * @param standbyPid 0 if there is none
 * @param linkSilentNs since the last bytes of the primary; -1 without a session
 * @param primaryHealth of its host's hardware, as in {@link io.lockstep.replication.link.ReportedHealth}
 * @param promotion null until it was promoted
 * @param lastErrorCode empty if there was none
 * @param lastError empty if there was none
 * @param lastErrorMs when, milliseconds since 1970
 */
public record ReplicaStatus(
        String vm,
        ReplicaState state,
        String reason,
        long sinceMs,
        boolean promotable,
        String fingerprint,
        long ramBytes,
        long committedEpoch,
        long appliedEpoch,
        AckLevel ackLevel,
        long journalEpochs,
        long journalBytes,
        boolean standbyReady,
        long standbyPid,
        long linkSilentNs,
        int primaryHealth,
        @Nullable PromotedVm promotion,
        String lastErrorCode,
        String lastError,
        long lastErrorMs,
        Totals totals) {
    /**
     * Counts since this agent started.
     *
     * @param sessions accepted
     * @param fullCopies begun
     * @param epochsCommitted of both kinds
     * @param sessionErrors sessions that ended by a broken rule or an error here
     * @param scrubbedPages compared
     * @param scrubMismatches that differed
     * @param standbySpawns tried
     * @param fenceRuns of the fence command
     */
    public record Totals(
            long sessions,
            long fullCopies,
            long epochsCommitted,
            long sessionErrors,
            long scrubbedPages,
            long scrubMismatches,
            long standbySpawns,
            long fenceRuns) {}
}
