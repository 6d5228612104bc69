package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import org.jspecify.annotations.Nullable;

/** Gets faults. */
public interface FaultSink {
    /**
     * Gets one.
     *
     * @param refined it was told before, and is now known to be worse or better known: it must not be counted again
     * @param earlier what was told of it before; its part may have had another name. Null if nothing was, or nobody knows
     */
    void fault(HardwareEvent event, boolean refined, @Nullable Earlier earlier);

    /** All that a counter had grown by at this reading has been handed on, by its own source or by others. */
    default void settled(Raw.Counter counter) {}
}
