package io.lockstep.telemetry.health;

/** Hears of changes. Called by the thread that records; must not wait. */
public interface HealthListener {
    /** A part fares otherwise than before. */
    void changed(ComponentHealth health, HealthState before);
}
