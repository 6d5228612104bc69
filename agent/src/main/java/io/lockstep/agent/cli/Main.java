package io.lockstep.agent.cli;

import io.lockstep.agent.AgentVersion;
import io.lockstep.agent.client.AgentNotRunningException;
import io.lockstep.agent.demo.DemoCommand;
import io.lockstep.replication.LockstepException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParameterException;

/** {@code lockstep}: the command line. */
@Command(
        name = "lockstep",
        description = "Keeps a running virtual machine alive through the death of its host.",
        versionProvider = Main.Version.class,
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            AgentCommand.class,
            VmsCommand.class,
            PeersCommand.class,
            DoctorCommand.class,
            IdentityCommand.class,
            ProtectCommand.class,
            UnprotectCommand.class,
            ProtectionCommand.class,
            StatusCommand.class,
            VerifyCommand.class,
            SwitchoverCommand.class,
            FailoverCommand.class,
            DrillCommand.class,
            DiscardCommand.class,
            JournalCommand.class,
            HardwareCommand.class,
            EventsCommand.class,
            TopCommand.class,
            ConfigCommand.class,
            PairCommand.class,
            DemoCommand.class,
            SourceTreeCommand.Bench.class,
            SourceTreeCommand.Test.class,
            ReleaseOutputCommand.class,
            WarmUpCommand.class,
        },
        footer = {
            "",
            "Exit status: 0 done; 1 failed; 2 wrong usage; 3 refused before anything was touched; 4 no agent answers; 5 verify found"
                    + " differences."
        })
public final class Main {
    private Main() {}

    /** As the agent tells it. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"lockstep " + AgentVersion.TEXT};
        }
    }

    /** Exits with one of {@link ExitCode}. */
    public static void main(String[] arguments) {
        // Not System.out: it tells nobody that its reader has gone.
        System.exit(run(arguments, new FileOutputStream(FileDescriptor.out), System.err));
    }

    /** Runs one command; all that it printed is written when this returns. */
    static int run(String[] arguments, OutputStream out, OutputStream err) {
        CommandLine commandLine = commandLine();
        Output output = new Output(out);
        PrintWriter outWriter = new PrintWriter(output, true, StandardCharsets.UTF_8);
        PrintWriter errWriter = new PrintWriter(err, true, StandardCharsets.UTF_8);
        commandLine.setOut(outWriter);
        commandLine.setErr(errWriter);
        int exit = commandLine.execute(arguments);
        outWriter.flush();
        String complaint = output.complaint();
        if (complaint != null) {
            errWriter.println("lockstep: the output cannot be written: " + complaint);
        }
        errWriter.flush();
        return exit == ExitCode.OK && output.failed() ? ExitCode.FAILED : exit;
    }

    /** The parser, with the exit statuses and messages of every command. */
    static CommandLine commandLine() {
        CommandLine commandLine = new CommandLine(new Main());
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        for (CommandLine command : commandLine.getSubcommands().values()) {
            command.getCommandSpec().mixinStandardHelpOptions(true);
        }
        commandLine.getCommandSpec().mixinStandardHelpOptions(true);
        commandLine.setParameterExceptionHandler(Main::usage);
        commandLine.setExecutionExceptionHandler(Main::failure);
        return commandLine;
    }

    private static int usage(ParameterException e, String[] arguments) {
        CommandLine command = e.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        command.getErr().println(name + ": " + Usage.message(e) + ". '" + name + " --help' shows the options.");
        return ExitCode.USAGE;
    }

    private static int failure(Exception e, CommandLine command, CommandLine.ParseResult result) {
        String name = command.getCommandSpec().qualifiedName();
        String message =
                e instanceof LockstepException || e instanceof RequestFailedException || e instanceof IOException
                        ? String.valueOf(e.getMessage())
                        : e.toString();
        command.getErr().println(name + ": " + message);
        if (result.subcommand() != null && result.subcommand().hasMatchedOption("--json")) {
            command.getOut()
                    .println("{\"error\":{\"code\":" + AgentCall.quoted(code(e)) + ",\"message\":"
                            + AgentCall.quoted(message) + "}}");
        }
        if (e instanceof RequestFailedException failed) {
            return failed.exitCode;
        }
        if (e instanceof AgentNotRunningException) {
            return ExitCode.AGENT_NOT_RUNNING;
        }
        return e instanceof LockstepException ? ExitCode.REFUSED : ExitCode.FAILED;
    }

    private static String code(Exception e) {
        if (e instanceof RequestFailedException failed) {
            return failed.code;
        }
        return e instanceof LockstepException refusal ? refusal.code() : "internal-error";
    }
}
