package io.lockstep.telemetry.sensor;

/** Reads sensors. For one thread. */
@FunctionalInterface
public interface SensorReader {
    /** Reads them now; may take some hundred milliseconds. What is not there is absent in it. */
    Readings read();
}
