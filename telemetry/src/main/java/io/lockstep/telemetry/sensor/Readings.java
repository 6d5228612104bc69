package io.lockstep.telemetry.sensor;

import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * What the sensors read now. Immutable.
 *
 * @param cpuCelsius temperature of the processor
 * @param fansRpm revolutions a minute, each fan at its place
 * @param cpuVolts core voltage
 * @param links network ports by name, and whether each has a link
 */
public record Readings(
        OptionalDouble cpuCelsius, List<Integer> fansRpm, OptionalDouble cpuVolts, Map<String, Boolean> links) {
    public Readings {
        fansRpm = List.copyOf(fansRpm);
        links = Map.copyOf(links);
    }

    /** Whether there is nothing to read. */
    boolean none() {
        return cpuCelsius.isEmpty() && fansRpm.isEmpty() && cpuVolts.isEmpty() && links.isEmpty();
    }
}
