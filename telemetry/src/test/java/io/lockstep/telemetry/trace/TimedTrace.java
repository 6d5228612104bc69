package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.source.Counters;
import io.lockstep.telemetry.source.EventSource;
import java.nio.file.Path;
import java.util.function.LongConsumer;

/** This host's tracepoints as the agent reads them, with a word on how long each event took. */
public final class TimedTrace {
    private TimedTrace() {}

    /**
     * Opens them; the instance stays when the source is closed.
     *
     * @param spool file on a tmpfs
     * @param delayNs gets, for each event, the nanoseconds from the tracepoint's own time to the decoded event; called by the reader
     */
    public static EventSource open(String instance, Path spool, Counters kept, LongConsumer delayNs) {
        return TraceSource.open(
                Path.of("/sys/kernel/tracing"),
                instance,
                true,
                spool,
                kept,
                TraceInstance.EVENTS,
                TraceEvents::decode,
                System::nanoTime,
                delayNs);
    }
}
