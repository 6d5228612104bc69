package io.lockstep.replication.hypervisor;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Starts and ends the standby's process. It gets a session of its own, and its output goes to a file: so neither a signal to ours nor our
 * death ends it. Nor is it our child: protected in its turn after a promotion it will be traced, and the JVM takes a traced child's first
 * stop for its end and never reaps it.
 */
final class StandbyProcess {
    private static final int SIGKILL = 9;
    /** The shell tells its own id and then becomes the program; a VM is not spared by the OOM killer as the agent is. */
    private static final String TELL_PID =
            "{ echo 0 > /proc/self/oom_score_adj; } 2> /dev/null; echo $$ > \"$0\" && exec \"$@\"";

    private static final long START_TIMEOUT_NS = 5_000_000_000L;
    private static final long POLL_NS = 1_000_000;
    private static final long ITS_OWN_END_TIMEOUT_NS = 1_000_000_000L;
    private static final long EXIT_TIMEOUT_NS = 10_000_000_000L;
    /** How much of its log an error shows. */
    private static final int LOG_LINES_SHOWN = 5;

    private StandbyProcess() {}

    /** Starts it; it may still fail to come up. */
    static ProcessIdentity start(StandbySpec spec) throws LockstepException {
        Path pidFile = pidFile(spec.directory());
        List<String> command = new ArrayList<>(List.of("setsid", "--fork", "sh", "-c", TELL_PID, pidFile.toString()));
        try {
            Files.deleteIfExists(pidFile);
            ProcessOwner owner = ProcessOwner.of(Path.of("/proc/self"));
            if (owner.uid() == 0 && spec.uid() > 0) {
                owner = new ProcessOwner(spec.uid(), spec.gid());
                command.addAll(List.of("setpriv", "--reuid", "" + spec.uid(), "--regid", "" + spec.gid()));
                command.add(isKnown(spec.uid()) ? "--init-groups" : "--clear-groups");
                for (Path file : spec.memoryFiles()) {
                    owner.own(file);
                }
            }
            command.addAll(spec.commandLine().arguments());
            Path qemu = StandbyDirectory.give(spec.directory(), owner);
            Path directory = Files.isDirectory(spec.workingDirectory()) ? spec.workingDirectory() : qemu;
            Process process = new ProcessBuilder(command)
                    .directory(directory.toFile())
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(log(spec.directory()).toFile())
                    .start();
            return started(process, pidFile);
        } catch (LinuxException e) {
            // Gone before it could be looked at: the program is not there, or refused at once.
            throw ended(spec.directory(), "at its start");
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-start-failed",
                    "Cannot start the standby: " + e.getMessage()
                            + ". Install the same QEMU as on the primary's host, under the same path.",
                    e);
        }
    }

    /**
     * Starts it as our child, for a drill. It gets a network namespace, is the first to go when memory is short, and is killed by the kernel when
     * the calling thread ends, however it ends.
     */
    static ProcessIdentity startForDrill(StandbySpec spec, DrillCommandLine.Made made) throws LockstepException {
        StringBuilder script = new StringBuilder("echo 1000 >/proc/self/oom_score_adj");
        made.taps().forEach(tap -> script.append(" && ip tuntap add dev ")
                .append(tap)
                .append(" mode tap user ")
                .append(spec.uid()));
        script.append(" && exec \"$@\"");
        List<String> command = new ArrayList<>(List.of("nice", "-n", "10", "unshare", "--net"));
        command.addAll(List.of("sh", "-c", script.toString(), "drill", "setpriv", "--pdeathsig", "KILL"));
        try {
            ProcessOwner owner = ProcessOwner.of(Path.of("/proc/self"));
            if (spec.uid() > 0) {
                owner = new ProcessOwner(spec.uid(), spec.gid());
                command.addAll(List.of("--reuid", "" + spec.uid(), "--regid", "" + spec.gid()));
                command.add(isKnown(spec.uid()) ? "--init-groups" : "--clear-groups");
            }
            command.addAll(made.arguments());
            Path qemu = StandbyDirectory.give(spec.directory(), owner);
            Path directory = Files.isDirectory(spec.workingDirectory()) ? spec.workingDirectory() : qemu;
            Process process = new ProcessBuilder(command)
                    .directory(directory.toFile())
                    .redirectInput(Path.of("/dev/null").toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(log(spec.directory()).toFile())
                    .start();
            return ProcessIdentity.of(process.pid());
        } catch (LinuxException e) {
            throw ended(spec.directory(), "at its start");
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-start-failed",
                    "Cannot start the drill's QEMU: " + e.getMessage() + ". Install util-linux and iproute2.",
                    e);
        }
    }

    private static Path pidFile(Path directory) {
        return directory.resolve("standby.started");
    }

    /** The process that {@link #start} gave is recorded: what it told itself is not needed any more. */
    static void recorded(Path directory) throws LockstepException {
        try {
            Files.deleteIfExists(pidFile(directory));
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-record", "Cannot remove " + pidFile(directory) + ": " + e.getMessage() + ".", e);
        }
    }

    /** One that an earlier life of the agent started and did not live to record; it cannot have been told to run. */
    static Optional<ProcessIdentity> unrecorded(Path directory) {
        try {
            ProcessIdentity process = ProcessIdentity.of(
                    Long.parseLong(Files.readString(pidFile(directory)).trim()));
            // Its number may be another's by now.
            String commandLine = Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
            return commandLine.contains(StandbyCommandLine.qmpSocket(directory).toString())
                    ? Optional.of(process)
                    : Optional.empty();
        } catch (IOException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    /** Waits for the intermediate process, which ends at once, and reads what the last one wrote before it became QEMU. */
    private static ProcessIdentity started(Process intermediate, Path pidFile) throws IOException {
        try {
            intermediate.waitFor(START_TIMEOUT_NS, TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        long deadlineNs = System.nanoTime() + START_TIMEOUT_NS;
        String text = "";
        while (!text.endsWith("\n")) {
            if (System.nanoTime() > deadlineNs) {
                throw new IOException(
                        "setsid --fork sh told no process id within " + START_TIMEOUT_NS / 1_000_000 + " ms");
            }
            LockSupport.parkNanos(POLL_NS);
            text = Files.exists(pidFile) ? Files.readString(pidFile) : "";
        }
        return ProcessIdentity.of(Long.parseLong(text.trim()));
    }

    /** The failure of a standby that ended by itself, with the end of its log. */
    static LockstepException ended(Path directory, String during) {
        return new LockstepException(
                "standby-start-failed",
                "The standby QEMU ended " + during + ": " + tail(directory) + ". Its log is " + log(directory)
                        + "; see the command line with `lockstep protect --dry-run`.");
    }

    /** The last lines of its log. */
    static String tail(Path directory) {
        try {
            List<String> lines = Files.readAllLines(log(directory));
            return String.join(" | ", lines.subList(Math.max(0, lines.size() - LOG_LINES_SHOWN), lines.size()));
        } catch (IOException e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** Whether a process that has closed its monitor ends: it does so some milliseconds later. */
    static boolean endsItself(ProcessIdentity identity) {
        try (Pidfd handle = Pidfd.open(identity.pid())) {
            return !identity.alive() || handle.awaitExit(ITS_OWN_END_TIMEOUT_NS);
        } catch (LinuxException e) {
            return !identity.alive();
        }
    }

    static Path log(Path directory) {
        return directory.resolve("standby.log");
    }

    /** SIGKILLs exactly this process, if it is still there, and waits for its end. */
    static void end(ProcessIdentity identity) throws LockstepException {
        if (!identity.alive()) {
            return;
        }
        try (Pidfd handle = Pidfd.open(identity.pid())) {
            // Checked again: the pid may have passed to another process before the handle was open.
            if (identity.alive()) {
                handle.sendSignal(SIGKILL);
                if (!handle.awaitExit(EXIT_TIMEOUT_NS)) {
                    throw new LockstepException(
                            "standby-stuck",
                            "QEMU (pid " + identity.pid() + ") does not end " + EXIT_TIMEOUT_NS / 1_000_000
                                    + " ms after SIGKILL: a disk or device hangs.");
                }
            }
        } catch (LinuxException e) {
            if (identity.alive()) {
                throw new LockstepException(
                        "standby-stuck", "Cannot end QEMU (pid " + identity.pid() + "): " + e.getMessage() + ".", e);
            }
        }
    }

    /** Whether setpriv can look up the user's groups. */
    private static boolean isKnown(int uid) throws IOException {
        return Files.readAllLines(Path.of("/etc/passwd")).stream()
                .map(line -> line.split(":", -1))
                .anyMatch(fields -> fields.length > 2 && fields[2].equals(String.valueOf(uid)));
    }
}
