package io.lockstep.agent.cli;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Exactly one way to say which VM is meant. */
final class VmSelection {
    @ArgGroup(multiplicity = "1")
    @SuppressWarnings("NullAway.Init") // required: picocli sets it before call()
    Ways ways;

    static final class Ways {
        @Parameters(
                paramLabel = "VM",
                arity = "1",
                description = "Its name, the pid of its QEMU, or the path of its QMP socket.")
        @Nullable
        String vm;

        @Option(names = "--pid", paramLabel = "PID", description = "The process id of its QEMU.")
        @Nullable
        Long pid;

        @Option(names = "--name", paramLabel = "NAME", description = "Its name, as in QEMU's -name.")
        @Nullable
        String name;

        @Option(names = "--qmp", paramLabel = "PATH", description = "Its QMP socket.")
        @Nullable
        Path qmp;
    }

    /** The VM as the API has it in its paths. */
    String text() {
        if (ways.vm != null) {
            return ways.vm;
        }
        if (ways.pid != null) {
            return Long.toString(ways.pid);
        }
        if (ways.qmp != null) {
            return ways.qmp.toAbsolutePath().toString();
        }
        return String.valueOf(ways.name);
    }
}
