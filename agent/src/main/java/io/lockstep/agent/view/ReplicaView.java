package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * One VM whose replica this agent holds.
 *
 * @param vm its name
 * @param primary where it runs, or ran
 * @param committedEpoch last whole epoch; -1 if none
 * @param appliedEpoch last one in the replica's memory; -1 if none
 * @param standbyReady whether a QEMU waits to become the VM
 * @param standbyPid 0 if there is none
 * @param linkSilentMs time since the last bytes from the primary; -1 without a connection
 * @param promotion null until it was promoted
 * @param drill how the drills of it went
 * @param lastError null if there was none
 */
public record ReplicaView(
        String vm,
        StateView state,
        PeerView primary,
        long ramBytes,
        long committedEpoch,
        long appliedEpoch,
        boolean standbyReady,
        long standbyPid,
        long journalEpochs,
        long journalBytes,
        double linkSilentMs,
        @Nullable Promotion promotion,
        DrillView drill,
        @Nullable ErrorView lastError) {}
