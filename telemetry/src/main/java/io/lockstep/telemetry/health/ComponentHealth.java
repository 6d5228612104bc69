package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import java.util.List;

/**
 * How one part fares. Immutable.
 *
 * @param component the part
 * @param state how it fares
 * @param sinceMs since when, milliseconds since 1970
 * @param lastMs when something last happened to it
 * @param corrected corrected errors since it was last cleared
 * @param uncorrected others since then
 * @param evidence why, newest last; at most {@link Account#EVIDENCE_MAX} sentences
 * @param action what to do; empty if nothing
 */
public record ComponentHealth(
        Component component,
        HealthState state,
        long sinceMs,
        long lastMs,
        long corrected,
        long uncorrected,
        List<String> evidence,
        String action) {
    public ComponentHealth {
        evidence = List.copyOf(evidence);
    }
}
