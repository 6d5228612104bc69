package io.lockstep.agent;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;

/** Starts the daemon. Found through {@link java.util.ServiceLoader}, so that the command line does not load what it does not run. */
public interface DaemonFactory {
    /**
     * Returns once protection is attached again; the VMs of a daemon that died run unprotected until then.
     *
     * @param sameHostForTesting whether peers on this very machine are welcome
     */
    Daemon start(AgentPaths paths, AgentConfig config, boolean sameHostForTesting) throws LockstepException;
}
