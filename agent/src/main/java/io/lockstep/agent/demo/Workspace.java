package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The run's own directory, and the end of everything that was started in it.
 *
 * <p>Invariant: a JVM or QEMU is killed only if it was started with this directory's name, which no other run has, in its arguments. That also finds
 * what others started for the run: the agents behind their supervisors, and the standby QEMUs, which outlive their agents by design.
 */
public final class Workspace {
    /** SIGKILL takes effect at once; QEMU's memory takes the kernel some tens of milliseconds to free. */
    private static final Duration DEATH = Duration.ofSeconds(10);

    private final Path directory;
    private final List<Path> elsewhere = new ArrayList<>();

    /**
     * Makes a new directory.
     *
     * @throws IOException if it cannot be made
     */
    public Workspace() throws IOException {
        directory = Files.createTempDirectory("lockstep-demo-");
    }

    /** The directory. */
    public Path directory() {
        return directory;
    }

    /** A name for the run's VM that no other VM has, so that demos may run side by side; short, as it becomes part of socket paths. */
    public String vmName() {
        String path = directory.toString();
        return "demo-" + path.substring(path.length() - 6);
    }

    /** Another directory to remove at the end. */
    public void owns(Path other) {
        elsewhere.add(other);
    }

    /** Kills every process of the run with SIGKILL, and waits until all are gone. Those that supervise others are among them, so it repeats. */
    public void killAll() throws InterruptedException {
        try {
            Deadline.await("the end of the run's processes", DEATH, () -> {
                List<ProcessHandle> alive = processes();
                alive.forEach(ProcessHandle::destroyForcibly);
                return alive.isEmpty();
            });
        } catch (DemoFailure e) {
            System.err.println("lockstep: " + e.getMessage() + ": "
                    + processes().stream().map(ProcessHandle::pid).toList());
        }
    }

    /** The processes of the run that are alive now. */
    private List<ProcessHandle> processes() {
        try (Stream<Path> entries = Files.list(Path.of("/proc"))) {
            return entries.map(entry -> entry.getFileName().toString())
                    .filter(name -> name.chars().allMatch(c -> c >= '0' && c <= '9'))
                    .map(Long::valueOf)
                    .filter(pid -> pid != ProcessHandle.current().pid() && isOurs(pid))
                    .flatMap(pid -> ProcessHandle.of(pid).stream())
                    .toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    private boolean isOurs(long pid) {
        try {
            String program = Files.readSymbolicLink(Path.of("/proc", Long.toString(pid), "exe"))
                    .getFileName()
                    .toString();
            byte[] arguments = Files.readAllBytes(Path.of("/proc", Long.toString(pid), "cmdline"));
            return (program.startsWith("java") || program.startsWith("qemu-system"))
                    && new String(arguments, StandardCharsets.ISO_8859_1).contains(directory.toString());
        } catch (IOException e) {
            return false; // It has ended.
        }
    }

    /** Removes what lies outside the directory, and, if the run succeeded, the directory with its logs. */
    public void remove(boolean succeeded) {
        List<Path> obsolete = new ArrayList<>(elsewhere);
        if (succeeded) {
            obsolete.add(directory);
        }
        for (Path path : obsolete) {
            try {
                removeTree(path);
            } catch (IOException e) {
                System.err.println("lockstep: cannot remove " + path + ": " + e.getMessage());
            }
        }
    }

    private static void removeTree(Path top) throws IOException {
        if (!Files.exists(top)) {
            return;
        }
        Files.walkFileTree(top, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                Files.deleteIfExists(file);
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path path, @Nullable IOException failure) throws IOException {
                if (failure != null) {
                    throw failure;
                }
                Files.deleteIfExists(path);
                return FileVisitResult.CONTINUE;
            }
        });
    }
}
