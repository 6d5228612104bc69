package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * The fence command of the demo, in place of a power switch: kills the processes that make up the other host, and succeeds when they are gone.
 *
 * <p>Invariant: it ends only processes that were named to it and that have the run's directory among their arguments, so a process id that was
 * given to another process meanwhile does no harm.
 */
public final class Fence {
    private final Path directory;

    /** @param directory of the run */
    public Fence(Path directory) {
        this.directory = directory;
    }

    /** The program; its exit status 0 says that the host cannot run the VM. */
    public Path command() {
        return directory.resolve("fence");
    }

    private Path processes() {
        return directory.resolve("fenced-processes");
    }

    /** Writes the program. */
    public void write() throws IOException {
        String script = """
                #!/bin/sh
                # Exits with 0 when no process of the other host is left that could run the VM.
                pids=$(cat '%1$s') || exit 1
                for pid in $pids; do
                    while grep -qs '%2$s' "/proc/$pid/cmdline"; do
                        kill -9 "$pid"
                        sleep 0.01
                    done
                done
                """.formatted(processes(), directory);
        Files.writeString(command(), script);
        Files.setPosixFilePermissions(command(), PosixFilePermissions.fromString("rwx------"));
    }

    /** Says which processes make up the host, separated by spaces. Before that the command fails. */
    public void nameProcesses(String pids) throws IOException {
        Files.writeString(processes(), pids + "\n");
    }
}
