package io.lockstep.agent.view;

import org.jspecify.annotations.Nullable;

/**
 * How the drills of a replica went.
 *
 * @param state {@code none}, {@code passed}, {@code failed} or {@code overdue}; the last two degrade the VM's state
 * @param lastMs when the last one ended, milliseconds since 1970; 0: never
 * @param totalMs how long the last one that went well took; 0: none did
 * @param nextMs when the next one is due by the configuration, milliseconds since 1970; 0: none is
 * @param runs since this agent started
 * @param failures of them
 * @param error of the last one; null if it went well
 */
public record DrillView(
        String state,
        long lastMs,
        double totalMs,
        long nextMs,
        long runs,
        long failures,
        @Nullable ErrorView error) {
    public static final String NONE = "none";
    public static final String PASSED = "passed";
    public static final String FAILED = "failed";
    public static final String OVERDUE = "overdue";
}
