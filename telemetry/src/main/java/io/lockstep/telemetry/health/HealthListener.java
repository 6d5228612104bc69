package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.HardwareEvent;

/** Hears of changes. Called by the thread that records; must not wait. */
public interface HealthListener {
    /** A part fares otherwise than before. */
    void changed(ComponentHealth health, HealthState before);

    /**
     * An event from which something may follow: data was lost, redundancy is gone, a part fares worse, or a page wears out. Called after
     * {@link #changed}, if that is called.
     *
     * @param event with its component as exactly as it is known
     * @param health of the part afterwards
     * @param before how the part fared
     * @param pageWorn whether its page has had so many corrected errors that it should be taken out of use
     */
    default void noticed(HardwareEvent event, ComponentHealth health, HealthState before, boolean pageWorn) {}
}
