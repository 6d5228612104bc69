package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lockstep demo}: exits with 0 only if the guest's state was verified after the kill. */
@Command(
        name = "demo",
        description = "Protects a guest between two agents on this machine, kills, and checks that nothing was lost.")
public final class DemoCommand implements Callable<Integer> {
    /** Set by the launcher, which made the network namespace. */
    private static final String OWN_NETWORK = "lockstep.ownNetwork";

    @Spec
    private @Nullable CommandSpec spec;

    @Option(
            names = "--guest",
            paramLabel = "GUEST",
            defaultValue = "linux",
            description = "micro or linux (default: linux)")
    private Guest guest = Guest.LINUX;

    @Option(
            names = "--seconds",
            paramLabel = "N",
            defaultValue = "10",
            description = "Seconds of protection before the kill, 1..3600 (default: 10)")
    private int seconds;

    @Option(
            names = "--epoch-ms",
            paramLabel = "N",
            defaultValue = "25",
            description = "Length of an epoch, 1..1000 (default: 25)")
    private int epochMs;

    @Option(
            names = "--kill",
            paramLabel = "WHAT",
            defaultValue = "vm",
            description = "vm, host or agent, with SIGKILL (default: vm)")
    private Kill kill = Kill.VM;

    @Option(names = "--report", paramLabel = "FILE", description = "Write the measurements as JSON to this file")
    private @Nullable Path report;

    // The launcher has read it by now; here it is only accepted and explained.
    @SuppressWarnings("UnusedVariable")
    @Option(names = "--no-install", description = "Never install packages: print the command and exit with 3")
    private boolean noInstall;

    @Override
    public Integer call() throws Exception {
        check(seconds >= 1 && seconds <= 3600, "--seconds " + seconds + " is not in 1..3600");
        check(epochMs >= 1 && epochMs <= 1000, "--epoch-ms " + epochMs + " is not in 1..1000");
        Path project = Path.of(System.getProperty("lockstep.project", ""));
        Path guests = Path.of(System.getProperty("lockstep.guests", ""));
        check(
                Files.isExecutable(project.resolve("lockstep")) && Files.isReadable(guests.resolve("micro.elf")),
                "the demo runs from a source tree, as ./lockstep demo, which builds its guests");
        checkReport();
        return new Demo(new DemoOptions(
                                guest,
                                seconds,
                                epochMs,
                                kill,
                                report,
                                project,
                                Boolean.getBoolean(OWN_NETWORK),
                                guests))
                        .run()
                ? 0
                : 1;
    }

    /** Now rather than when the run is over, and with it the measurements. */
    private void checkReport() {
        if (report != null) {
            try {
                DemoOutput.prepare(report);
            } catch (IOException e) {
                check(false, "--report " + report + " cannot be written: " + e);
            }
        }
    }

    private void check(boolean holds, String message) {
        if (!holds && spec != null) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }
}
