package io.lockstep.agent.events;

/**
 * One change.
 *
 * @param id higher than that of every earlier one, also of the agent's lives before
 * @param wallMs when, milliseconds since 1970
 * @param kind what sort of change: {@link #PROTECTION} and the others
 * @param subject the VM, the part of the host or the job that it happened to
 * @param state what the subject is now, lower case with dashes; a code if the kind is {@link #ERROR}
 * @param text why, for people
 */
public record AgentEvent(long id, long wallMs, String kind, String subject, String state, String text) {
    /** A protected VM's state changed on its primary. */
    public static final String PROTECTION = "protection";

    /** A replica's state changed. */
    public static final String REPLICA = "replica";

    /** A replica became the VM. */
    public static final String PROMOTION = "promotion";

    /** A part of this host fares otherwise. */
    public static final String HARDWARE = "hardware";

    /** Something followed from how the hardware fares, or would have: the state is the outcome. */
    public static final String HARDWARE_ACTION = "hardware-action";

    /** A verb began or ended. */
    public static final String JOB = "job";

    /** A drill ended. */
    public static final String DRILL = "drill";

    /** Something failed that an operator should know. */
    public static final String ERROR = "error";
}
