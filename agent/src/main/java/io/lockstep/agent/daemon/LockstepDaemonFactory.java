package io.lockstep.agent.daemon;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.Daemon;
import io.lockstep.agent.DaemonFactory;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;

/** Found by {@link java.util.ServiceLoader}. */
public final class LockstepDaemonFactory implements DaemonFactory {
    @Override
    public Daemon start(AgentPaths paths, AgentConfig config, boolean sameHostForTesting) throws LockstepException {
        return LockstepDaemon.start(paths, config, sameHostForTesting);
    }
}
