package io.lockstep.replication.memory;

import io.lockstep.replication.LockstepException;

/** A tracker cannot work here; the message says why, and what would help. */
public final class TrackerUnavailableException extends LockstepException {
    public TrackerUnavailableException(String message) {
        super("tracker-unavailable", message);
    }

    public TrackerUnavailableException(String message, Throwable cause) {
        super("tracker-unavailable", message, cause);
    }
}
