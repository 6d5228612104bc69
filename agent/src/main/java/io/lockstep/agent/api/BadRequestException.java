package io.lockstep.agent.api;

import io.lockstep.replication.LockstepException;

/** The request itself is wrong, whatever the state of the agent. */
final class BadRequestException extends LockstepException {
    BadRequestException(String message) {
        super("bad-request", message);
    }
}
