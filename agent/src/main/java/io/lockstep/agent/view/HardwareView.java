package io.lockstep.agent.view;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How the hardware of a host fares.
 *
 * @param state of its worst part: healthy, watch, degrading, failing or failed
 * @param drill events that were replayed and never happened, until they are cleared; null if there are none
 * @param parts to which something happened, worst first
 * @param modules memory modules, as exactly as they are known
 * @param sources where events come from
 * @param policy what follows
 * @param actions what was done because of it, or would have been, newest last
 */
public record HardwareView(
        String state,
        @Nullable Drill drill,
        List<Part> parts,
        List<Module> modules,
        List<Source> sources,
        Policy policy,
        List<Action> actions) {

    /**
     * A drill.
     *
     * @param name of the file
     * @param wallMs when, milliseconds since 1970
     * @param events that were fed
     */
    public record Drill(String name, long wallMs, long events) {}

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
     * A memory module. Numbers from 0, -1 where not known.
     *
     * @param component all that is known of it in words
     * @param label on the board; empty if not known
     * @param socket processor package
     * @param controller of that package
     * @param channel of that controller
     * @param slot in the channel
     * @param bytes 0 if not known
     * @param serial empty if not known
     */
    public record Module(
            String component,
            String label,
            int socket,
            int controller,
            int channel,
            int slot,
            long bytes,
            String serial,
            String state,
            long corrected,
            long uncorrected) {}

    /**
     * A source of events.
     *
     * @param status present, absent, deaf, losing or no_privilege
     * @param cure what to do; empty if nothing
     */
    public record Source(String name, String status, String detail, String cure, long events, long lost) {}

    /**
     * The configuration's table {@code [hardware]}: on, off or dry-run each.
     *
     * @param switchoverState from which on VMs move, and new ones are refused
     */
    public record Policy(
            String switchover,
            String switchoverState,
            String refuseNew,
            String offlinePages,
            String offlineCpus,
            String runCommand) {}

    /**
     * What followed.
     *
     * @param wallMs when, milliseconds since 1970
     * @param action its key in the configuration, e.g. switchover
     * @param subject the VM, the page, the CPU or the part
     * @param outcome started, done, dry-run, off, refused or failed
     * @param text what, and why
     */
    public record Action(long wallMs, String action, String subject, String outcome, String text) {}
}
