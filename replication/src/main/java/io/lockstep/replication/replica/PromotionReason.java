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
    FORCED("forced");

    private final String label;

    PromotionReason(String label) {
        this.label = label;
    }

    /** Lower case with dashes. */
    public String label() {
        return label;
    }
}
