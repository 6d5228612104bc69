package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.supervisor.JvmCommand;
import io.lockstep.agent.supervisor.OutputRelease;
import io.lockstep.agent.supervisor.Supervisor;
import io.lockstep.replication.LockstepException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lockstep agent}. */
@Command(name = "agent", description = "Run the agent in the foreground, until SIGTERM.")
final class AgentCommand implements Callable<Integer> {
    @Mixin
    RootOption root = new RootOption();

    @Option(
            names = "--supervised",
            description = "In a process of its own, started again when it dies or hangs, as systemd would do it.")
    boolean supervised;

    @Option(
            names = AgentProcess.SAME_HOST,
            description =
                    "Accept a peer on this very machine, which protects no VM from the machine's death: to try lockstep, and for"
                            + " its tests. Both agents need it.")
    boolean sameHostForTesting;

    @Override
    public Integer call() throws LockstepException {
        return supervised
                ? supervise(root.paths(), sameHostForTesting)
                : AgentProcess.run(root.paths(), sameHostForTesting);
    }

    private static int supervise(AgentPaths paths, boolean sameHostForTesting) throws LockstepException {
        AgentConfig config = AgentConfig.load(paths);
        Path project = Path.of(System.getProperty("lockstep.project", "."));
        List<String> command = new ArrayList<>(JvmCommand.agent(project.resolve("agent/jvm.options")));
        command.add(AgentProcess.class.getName());
        command.add(paths.root().toString());
        if (sameHostForTesting) {
            command.add(AgentProcess.SAME_HOST);
        }
        Supervisor supervisor = new Supervisor(
                command,
                paths.run().resolve("notify.sock"),
                config.watchdog().timeoutMs(),
                () -> OutputRelease.run(paths));
        Runtime.getRuntime().addShutdownHook(new Thread(supervisor::stop, "stop"));
        return supervisor.run();
    }
}
