package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Tally;
import java.util.List;
import java.util.Map;

/**
 * What more may be told of the errors that the accounts hold: how much of the kernel's counters they are, and which faults other sources may name
 * better. Kept with the accounts as one, so that each error is counted once, also when the agent is killed between two reports. Immutable.
 *
 * @param boot identity of the life of the kernel in which it was told; empty if it is not known
 * @param values how far each counter and each log was read, by its name
 * @param told errors that the accounts hold, but not yet the values
 * @param open faults that the accounts hold, or soon will, and of which other sources may tell still
 * @param marks how far logs were read that outlive the kernel, by their names: of whatever life
 */
public record Pending(
        String boot, Map<String, Long> values, List<Tally> told, List<OpenFault> open, Map<String, String> marks) {
    /** Of no life of the kernel. */
    public static final Pending NONE = new Pending("", Map.of(), List.of(), List.of(), Map.of());

    public Pending {
        values = Map.copyOf(values);
        told = List.copyOf(told);
        open = List.copyOf(open);
        marks = Map.copyOf(marks);
    }
}
