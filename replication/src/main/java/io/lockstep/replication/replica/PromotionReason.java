package io.lockstep.replication.replica;

/** Why a replica became the VM. */
public enum PromotionReason {
    /** The primary's agent saw QEMU die. */
    VM_DIED("vm-died"),
    /** The host was silent, and the fence command says that it cannot run the VM. */
    HOST_SILENT("host-silent"),
    /** As planned. */
    SWITCHOVER("switchover"),
    /** The operator's word, after the fence command. */
    FAILOVER("failover"),
    /** The operator's word alone. */
    FORCED("forced"),
    /** An earlier process of this agent had decided it, for any of these causes; the event log has which. */
    EARLIER_DECISION("earlier-decision");

    private final String label;

    PromotionReason(String label) {
        this.label = label;
    }

    /** Lower case with dashes. */
    public String label() {
        return label;
    }
}
