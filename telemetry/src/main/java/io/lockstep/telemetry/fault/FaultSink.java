package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;

/** Gets faults. */
public interface FaultSink {
    /**
     * Gets one.
     *
     * @param refined it was told before, and is now known to be worse or better known: it must not be counted again
     */
    void fault(HardwareEvent event, boolean refined);

    /** All that a counter had grown by at this reading has been handed on, by its own source or by others. */
    default void settled(Raw.Counter counter) {}
}
