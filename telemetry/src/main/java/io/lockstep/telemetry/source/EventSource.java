package io.lockstep.telemetry.source;

import io.lockstep.telemetry.event.HardwareEvent;
import java.util.function.Consumer;

/** Something that tells of events. For one thread, but {@link #state()}, which any thread may ask. */
public interface EventSource extends AutoCloseable {
    /** Short and stable, e.g. {@code trace}, {@code kmsg}. */
    String name();

    /**
     * Hands on what came since the last call, in the order in which it came. Never waits and never throws: what goes wrong shows in the state.
     *
     * @param now what the clocks say
     * @return events handed on
     */
    int poll(Moment now, Consumer<HardwareEvent> sink);

    /** How it is now. */
    SourceState state();

    /** Whether what it handed on should be kept soon, because it can hand on only so much of it again after a kill. */
    default boolean pressing() {
        return false;
    }

    /** Descriptors that become readable when there is something to poll; empty for a source that must be asked. */
    default int[] descriptors() {
        return new int[0];
    }

    /** Stops reading. */
    @Override
    default void close() {}
}
