package io.lockstep.replication.replica;

/** What a replica is, and what its primary seems to be. The codes are stable: they are exported as a metric. */
public enum ReplicaState {
    /** There is nothing of the VM here, or nothing of use: the next session begins with a full copy. */
    EMPTY(0, "empty"),
    /** A session is open and the replica is not consistent yet, or not any more: SYNC epochs come. */
    SYNCING(1, "syncing"),
    /** A session is open and the replica is consistent: it can be promoted. */
    PROTECTED(2, "protected"),
    /** The connection was closed without a goodbye: the primary's agent crashed, its host lives. Its return is awaited. */
    AWAITING_AGENT(3, "awaiting-agent"),
    /** It has not come back in agentRestartMs. It is still welcome; nothing is promoted but by the operator. */
    PRIMARY_AGENT_LOST(4, "primary-agent-lost"),
    /** The primary's agent said goodbye and comes back; the VM runs on. */
    AWAY(5, "away"),
    /** The primary runs the VM unprotected: not promotable without force. */
    RELEASED(6, "released"),
    /** Nothing comes from the primary, on a connection that is still open, and nothing may be done about it: see the reason. */
    SILENT(7, "silent"),
    /** The fence command runs. */
    FENCING(8, "fencing"),
    /** The replica is about to become the VM. */
    PROMOTING(9, "promoting"),
    /** The VM runs here. For good: it survives restarts of this agent. */
    PROMOTED(10, "promoted"),
    /** A planned switchover: the standby is loaded and held. */
    HELD(11, "held"),
    /** The promotion failed after the standby may have run: only the operator can know. */
    FAILED(12, "failed"),
    /** As PROTECTED, but the last drill failed or one is overdue. Shown, never entered. */
    DEGRADED(13, "degraded");

    private final int code;
    private final String label;

    ReplicaState(int code, String label) {
        this.code = code;
        this.label = label;
    }

    /** Stable number. */
    public int code() {
        return code;
    }

    /** Lower case with dashes. */
    public String label() {
        return label;
    }
}
