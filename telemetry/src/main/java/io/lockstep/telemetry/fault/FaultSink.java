package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.HardwareEvent;

/** Gets faults. */
public interface FaultSink {
    /**
     * Gets one.
     *
     * @param refined it was told before, and is now known to be worse or better known: it must not be counted again
     */
    void fault(HardwareEvent event, boolean refined);
}
