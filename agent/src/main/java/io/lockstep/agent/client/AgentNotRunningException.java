package io.lockstep.agent.client;

import io.lockstep.replication.LockstepException;

/** Nobody answers at the management socket. */
public final class AgentNotRunningException extends LockstepException {
    AgentNotRunningException(String message, Throwable cause) {
        super("agent-not-running", message, cause);
    }
}
