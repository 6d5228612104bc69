package io.lockstep.telemetry.replay;

import io.lockstep.telemetry.event.HardwareEvent;

/** Gets what a recording holds, in its order. */
public interface RecordingSink {
    /** As a source told it: other sources may tell of the same fault. */
    void event(HardwareEvent event);

    /**
     * As an agent told it: merged with what other sources said, and counted.
     *
     * @param refined it tells more of one that was counted before
     */
    void told(HardwareEvent event, boolean refined);

    /**
     * What is no event though it should be one; reading goes on behind it.
     *
     * @param line from 1; of a binary recording the record
     * @param cause with the values
     */
    void malformed(long line, String cause);
}
