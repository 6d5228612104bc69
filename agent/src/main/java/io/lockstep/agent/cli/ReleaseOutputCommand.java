package io.lockstep.agent.cli;

import io.lockstep.agent.supervisor.OutputRelease;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep release-output}: for systemd, when the agent has ended. */
@Command(
        name = "release-output",
        hidden = true,
        description = "Let the network of protected VMs flow after their agent has died; does nothing to others.")
final class ReleaseOutputCommand implements Callable<Integer> {
    @Mixin
    RootOption root = new RootOption();

    @Override
    public Integer call() {
        OutputRelease.run(root.paths());
        return ExitCode.OK;
    }
}
