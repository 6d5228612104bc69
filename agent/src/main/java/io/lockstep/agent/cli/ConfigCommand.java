package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.config.DefaultFile;
import io.lockstep.replication.LockstepException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lockstep config}: works on the file, because an agent with an error in it does not start. */
@Command(
        name = "config",
        description = "Check the configuration, or print the default one.",
        subcommands = {ConfigCommand.Check.class, ConfigCommand.Default.class})
final class ConfigCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    @Override
    public Integer call() {
        throw new ParameterException(spec.commandLine(), "no command is given: check or default");
    }

    /** {@code lockstep config check}. */
    @Command(
            name = "check",
            mixinStandardHelpOptions = true,
            description =
                    "Check the file as a starting agent does: exit status 3 and line, column and cure of the first error.")
    static final class Check implements Callable<Integer> {
        @Mixin
        RootOption root = new RootOption();

        @Spec
        @Nullable
        CommandSpec spec;

        @Override
        public Integer call() throws LockstepException {
            AgentPaths paths = root.paths();
            AgentConfig config = AgentConfig.load(paths);
            if (spec != null) {
                spec.commandLine()
                        .getOut()
                        .println(paths.configuration() + " is right: peers "
                                + config.peers().keySet() + ", VMs "
                                + config.vms().keySet() + ".");
            }
            return ExitCode.OK;
        }
    }

    /** {@code lockstep config default}. */
    @Command(
            name = "default",
            mixinStandardHelpOptions = true,
            description = "Print the file as it is installed: every key with its default, unit, range and why.")
    static final class Default implements Callable<Integer> {
        @Spec
        @Nullable
        CommandSpec spec;

        @Override
        public Integer call() {
            if (spec != null) {
                spec.commandLine().getOut().print(DefaultFile.text());
            }
            return ExitCode.OK;
        }
    }
}
