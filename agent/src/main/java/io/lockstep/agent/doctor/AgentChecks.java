package io.lockstep.agent.doctor;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.Identity;
import java.nio.file.Files;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Whether this agent is set up to work with a peer. */
final class AgentChecks {
    private final AgentPaths paths;
    private final AgentConfig config;
    private final boolean running;
    private final @Nullable LockstepException configFault;

    /** @param configFault why the configuration is the defaults although there is a file; null if it was read */
    AgentChecks(AgentPaths paths, AgentConfig config, boolean running, @Nullable LockstepException configFault) {
        this.configFault = configFault;
        this.paths = paths;
        this.config = config;
        this.running = running;
    }

    void examine(List<Finding> findings) {
        findings.add(
                running
                        ? Finding.ok("agent", "the agent answers at " + paths.socket())
                        : Finding.warning(
                                "agent",
                                "no agent answers at " + paths.socket()
                                        + ": these are the findings of this command's own process",
                                "lockstep agent --supervised, or systemctl start lockstep-agent."));
        findings.add(configuration());
        findings.add(identity());
        findings.add(
                config.peers().isEmpty()
                        ? Finding.warning(
                                "peers",
                                "no [peers.NAME] in " + paths.configuration() + ": nobody to protect VMs to or from",
                                "Add the other host's address and what 'lockstep identity' prints there.")
                        : Finding.ok("peers", String.join(", ", config.peers().keySet())));
        findings.add(
                config.fence().command().isEmpty()
                        ? Finding.warning(
                                "fence",
                                "no fence.command in " + paths.configuration()
                                        + ": a silent host's VMs wait for 'lockstep failover'",
                                "Set it to a command that makes sure that the other host is off, e.g. one of fence-agents.")
                        : Finding.ok("fence", config.fence().command().get(0)));
    }

    private Finding configuration() {
        LockstepException fault = configFault;
        if (fault != null) {
            return Finding.refused("configuration", fault);
        }
        return Files.exists(paths.configuration())
                ? Finding.ok("configuration", paths.configuration().toString())
                : Finding.warning(
                        "configuration",
                        "there is no " + paths.configuration() + ": everything has its default, and there is no peer",
                        "Begin with agent/config/agent.toml of the source tree, which has every key with its default.");
    }

    private Finding identity() {
        try {
            return Finding.ok("identity", Identity.open(paths.identity()).fingerprint());
        } catch (LockstepException e) {
            return Finding.refused("identity", e);
        }
    }
}
