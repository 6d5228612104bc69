package io.lockstep.telemetry.sensor;

/**
 * When a reading is worth an event. 0 turns a limit off.
 *
 * @param cpuCelsiusMax temperature of the processor from which on it is too hot
 * @param fanRpmMin revolutions a minute below which a fan that has turned faster counts as failed
 * @param cpuMillivoltsMin core voltage below which it is too low
 * @param cpuMillivoltsMax core voltage above which it is too high
 */
public record SensorLimits(int cpuCelsiusMax, int fanRpmMin, int cpuMillivoltsMin, int cpuMillivoltsMax) {
    /** A processor slows itself down near 100 degrees; a fan below 300 revolutions stands still soon; voltages differ too much for a default. */
    public static final SensorLimits DEFAULT = new SensorLimits(95, 300, 0, 0);
}
