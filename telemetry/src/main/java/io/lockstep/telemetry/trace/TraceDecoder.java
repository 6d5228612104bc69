package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.event.HardwareEvent;
import org.jspecify.annotations.Nullable;

/** Makes an event of a tracepoint's record. Never throws. */
interface TraceDecoder {
    /**
     * Decodes a record.
     *
     * @param event as group/name
     * @param wallMs the record's own time, milliseconds since 1970
     * @return null for a record that says nothing of hardware
     */
    @Nullable
    HardwareEvent decode(String event, TraceRecord record, long wallMs);
}
