package io.lockstep.agent.doctor;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.config.AgentConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Examines this host with the privileges of this process. Any thread. */
public final class HostDoctor implements Doctor {
    private final AgentPaths paths;
    private final AgentConfig config;
    private final @Nullable VmOperations operations;

    /** @param operations of the agent that asks; null if none runs */
    public HostDoctor(AgentPaths paths, AgentConfig config, @Nullable VmOperations operations) {
        this.paths = paths;
        this.config = config;
        this.operations = operations;
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
        new AgentChecks(paths, config, operations != null).examine(findings);
        if (operations != null) {
            new VmChecks(operations).examine(findings);
        }
        return findings;
    }
}
