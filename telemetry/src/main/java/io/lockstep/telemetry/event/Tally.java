package io.lockstep.telemetry.event;

import java.util.Map;

/**
 * Errors that were told and that not every counter has shown yet. Immutable.
 *
 * @param component where, as coarsely as counters count
 * @param lost whether data was lost
 * @param count at least 1
 * @param shown how many of them a counter has shown, by its source
 */
public record Tally(Component component, boolean lost, long count, Map<String, Long> shown) {
    public Tally {
        shown = Map.copyOf(shown);
    }
}
