package io.lockstep.agent.demo;

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
    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--guest", defaultValue = "linux", description = "micro or linux (default: linux)")
    private Guest guest = Guest.LINUX;

    @Option(names = "--seconds", defaultValue = "10", description = "protected before the kill, 1..3600 (default: 10)")
    private int seconds;

    @Option(names = "--epoch-ms", defaultValue = "25", description = "length of an epoch, 1..1000 (default: 25)")
    private int epochMs;

    @Option(names = "--kill", defaultValue = "vm", description = "vm, host or agent (default: vm)")
    private Kill kill = Kill.VM;

    @Option(names = "--report", description = "write the measurements as JSON to this file")
    private @Nullable Path report;

    // The launcher has read it by now; here it is only accepted and explained.
    @SuppressWarnings("UnusedVariable")
    @Option(names = "--no-install", description = "never install packages: print the command and exit with 3")
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
        return new Demo(new DemoOptions(guest, seconds, epochMs, kill, report, project, guests)).run() ? 0 : 1;
    }

    private void check(boolean holds, String message) {
        if (!holds && spec != null) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }
}
