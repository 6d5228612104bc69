package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Tally;
import java.util.List;
import java.util.Map;

/**
 * How much of the kernel's counters the accounts hold. Kept with them as one, so that what counters grow by later is told once, also when the
 * agent is killed between two errors. Immutable.
 *
 * @param boot identity of the life of the kernel in which they counted; empty if it is not known
 * @param values by the counter's name
 * @param told errors that the accounts hold, but not yet the values
 */
public record KeptCounters(String boot, Map<String, Long> values, List<Tally> told) {
    /** Of no life of the kernel. */
    public static final KeptCounters NONE = new KeptCounters("", Map.of(), List.of());

    public KeptCounters {
        values = Map.copyOf(values);
        told = List.copyOf(told);
    }
}
