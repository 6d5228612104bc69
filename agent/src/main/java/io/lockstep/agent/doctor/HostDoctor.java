package io.lockstep.agent.doctor;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Examines this host with the privileges of this process. Any thread. */
public final class HostDoctor implements Doctor {
    private final AgentPaths paths;
    private final AgentConfig config;
    private final @Nullable VmOperations operations;
    private final @Nullable LockstepException configFault;

    /** @param operations of the agent that asks */
    public HostDoctor(AgentPaths paths, AgentConfig config, VmOperations operations) {
        this(paths, config, operations, null);
    }

    private HostDoctor(
            AgentPaths paths,
            AgentConfig config,
            @Nullable VmOperations operations,
            @Nullable LockstepException configFault) {
        this.paths = paths;
        this.config = config;
        this.operations = operations;
        this.configFault = configFault;
    }

    /** Where no agent runs: a configuration that keeps it from starting is a finding, too. */
    public static HostDoctor withoutAgent(AgentPaths paths) throws LockstepException {
        try {
            return new HostDoctor(paths, AgentConfig.load(paths), null, null);
        } catch (LockstepException e) {
            return new HostDoctor(paths, AgentConfig.parse("the defaults", "", paths), null, e);
        }
    }

    @Override
    public List<Finding> examine() {
        Procfs procfs = new Procfs(Path.of("/"));
        List<Finding> findings = new ArrayList<>();
        new KernelChecks(procfs).examine(findings);
        TrackerChecks.ofThisProcess().examine(findings);
        new PrivilegeChecks(procfs).examine(findings);
        new SoftwareChecks(System.getenv().getOrDefault("PATH", "")).examine(findings);
        new CapacityChecks(procfs, config.replica().directory()).examine(findings);
        new HardwareChecks(Path.of("/")).examine(findings);
        new AgentChecks(paths, config, operations != null, configFault).examine(findings);
        if (operations != null) {
            new VmChecks(operations, new LibvirtChecks(Path.of("/"))).examine(findings);
        }
        return findings;
    }
}
