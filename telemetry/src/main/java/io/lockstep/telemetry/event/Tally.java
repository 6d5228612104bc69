package io.lockstep.telemetry.event;

/**
 * Errors that were told and that no counter has shown yet. Immutable.
 *
 * @param component where, as coarsely as counters count
 * @param lost whether data was lost
 * @param count at least 1
 */
public record Tally(Component component, boolean lost, long count) {}
