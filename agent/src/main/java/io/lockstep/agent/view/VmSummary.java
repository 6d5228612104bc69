package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * One VM that this host runs, or holds a replica of.
 *
 * @param pid of QEMU (of the standby, if the role is replica); 0 if there is no process
 * @param name from {@code -name}, else {@code pid-PID}
 * @param qmpPath its QMP socket; null if none was found
 * @param memoryBytes machine memory; 0 if unknown
 * @param accelerator {@code kvm} or {@code tcg}; null if unknown
 * @param uid the user that QEMU runs as
 * @param state {@code unprotected}, {@link #OTHER_AGENT}, or the name of the protection's or the replica's state
 */
public record VmSummary(
        long pid,
        String name,
        @Nullable String qmpPath,
        long memoryBytes,
        @Nullable String accelerator,
        int uid,
        Role role,
        String state) {
    /** State of a QEMU that another agent on this host started as a standby; it may be the VM by now. */
    public static final String OTHER_AGENT = "other-agent";
}
