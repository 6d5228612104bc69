package io.lockstep.agent.view;

import java.util.List;

/**
 * How the hardware of a host fares.
 *
 * @param state of its worst part: healthy, watch, degrading, failing or failed
 * @param parts to which something happened, worst first
 * @param modules memory modules, as exactly as they are known
 * @param sources where events come from
 * @param switchover on, off or dry-run
 * @param actions what was done because of it, or would have been, newest last
 */
public record HardwareView(
        String state,
        List<Part> parts,
        List<String> modules,
        List<Source> sources,
        String switchover,
        List<Action> actions) {

    /**
     * A part of the host.
     *
     * @param sinceMs of the state, milliseconds since 1970
     * @param corrected corrected errors since it was last cleared
     * @param uncorrected others since then
     * @param evidence why, newest last
     * @param action what to do; empty if nothing
     */
    public record Part(
            String component,
            String state,
            long sinceMs,
            long lastMs,
            long corrected,
            long uncorrected,
            List<String> evidence,
            String action) {}

    /**
     * A source of events.
     *
     * @param status present, absent, deaf, losing or no_privilege
     * @param cure what to do; empty if nothing
     */
    public record Source(String name, String status, String detail, String cure, long events, long lost) {}

    /** What followed, when, in milliseconds since 1970. */
    public record Action(long wallMs, String text) {}
}
