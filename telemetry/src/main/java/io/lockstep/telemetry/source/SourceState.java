package io.lockstep.telemetry.source;

/**
 * How a source is.
 *
 * @param status in one word
 * @param detail what was found, with the values
 * @param cure what to do; empty if all is well or nothing can be done
 * @param events handed on since the agent started
 * @param lost events that are known to be lost since the agent started
 */
public record SourceState(Status status, String detail, String cure, long events, long lost) {
    /** In one word. */
    public enum Status {
        /** It works. */
        PRESENT,
        /** This host has no such thing. */
        ABSENT,
        /** It is there, but something keeps its events from us. */
        DEAF,
        /** It works, and events were lost. */
        LOSING,
        /** It is there, and this process may not read it. */
        NO_PRIVILEGE
    }

    /** It works. */
    public static SourceState present(String detail, long events) {
        return new SourceState(Status.PRESENT, detail, "", events, 0);
    }

    /** This host has no such thing. */
    public static SourceState absent(String detail, String cure) {
        return new SourceState(Status.ABSENT, detail, cure, 0, 0);
    }

    /** It is there, but not for us. */
    public static SourceState noPrivilege(String detail) {
        return new SourceState(Status.NO_PRIVILEGE, detail, "Run the agent as root.", 0, 0);
    }
}
