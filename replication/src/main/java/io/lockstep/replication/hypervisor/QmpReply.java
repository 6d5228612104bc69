package io.lockstep.replication.hypervisor;

/** What has become of a command. */
public enum QmpReply {
    /** No answer yet. */
    NONE,
    /** Done. */
    RETURN,
    /** Refused or failed; {@link QmpConnection#errorText()} says why. */
    ERROR
}
