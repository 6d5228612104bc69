package io.lockstep.replication.protection;

/** Where the protection of one VM stands on its primary; the codes are exported as a metric and never change their meaning. */
public enum ProtectionState {
    /** Attached to the VM, no session with the peer yet; the VM runs unprotected. */
    CONNECTING(0),
    /** The first copy is on its way; the peer has nothing that it could promote. */
    SYNCING(1),
    /** The peer holds a committed epoch and gets the next ones. */
    PROTECTED(2),
    /** The session broke; the peer holds an old epoch; the VM runs on unprotected until the next epoch commits. */
    RECONNECTING(3),
    /** The VM is frozen at its last epoch while the peer loads it. */
    SWITCHING_OVER(4),
    /** The VM runs on the peer. */
    HANDED_OVER(5),
    /** Protection was ended by the operator or by the guest's shutdown; nothing of it is left in QEMU. */
    RELEASED(6),
    /** QEMU died here; the peer is told until it answers. */
    VM_DIED(7),
    /** Protection cannot go on; the VM runs unprotected; the reason says what to do. */
    FAILED(8),
    /** As PROTECTED, but the last drill on the peer failed or one is overdue. Shown, never entered. */
    DEGRADED(9);

    private final int code;

    ProtectionState(int code) {
        this.code = code;
    }

    /** The number that the metric shows. */
    public int code() {
        return code;
    }

    /** Whether the QEMU of this host has ended, so that nothing of ours is left in it. */
    public boolean qemuGone() {
        return this == HANDED_OVER || this == VM_DIED;
    }

    /** Whether no way leads out of this state: a new {@code protect} makes a new protection. */
    public boolean terminal() {
        return this == HANDED_OVER || this == RELEASED || this == VM_DIED || this == FAILED;
    }
}
