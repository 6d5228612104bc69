package io.lockstep.perf.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What the kernel knows of a process; proc(5). */
final class Proc {
    private static final double TICKS_PER_SECOND = 100;
    private static final int UTIME = 11;
    private static final int STIME = 12;

    private Proc() {}

    /** Processor time of all its threads, seconds. */
    static double cpuSeconds(long pid) throws IOException {
        return cpuSeconds(Path.of("/proc/" + pid));
    }

    /** That of the JIT's compilers in a JVM, seconds: what it has not compiled yet depends on how long it runs, and not on its work. */
    static double compilerSeconds(long pid) throws IOException {
        double sum = 0;
        try (Stream<Path> tasks = Files.list(Path.of("/proc/" + pid + "/task"))) {
            for (Path task : tasks.toList()) {
                // The kernel keeps 15 characters of a name. Other threads may end meanwhile; the compilers do not.
                if (name(task).matches("C[12] CompilerThre")) {
                    sum += cpuSeconds(task);
                }
            }
        }
        return sum;
    }

    private static String name(Path task) {
        try {
            return Files.readString(task.resolve("comm")).strip();
        } catch (IOException e) {
            return "";
        }
    }

    private static double cpuSeconds(Path directory) throws IOException {
        String stat = Files.readString(directory.resolve("stat"));
        // The name in parentheses may contain anything; what follows it does not.
        List<String> fields = List.of(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1));
        return (Long.parseLong(fields.get(UTIME)) + Long.parseLong(fields.get(STIME))) / TICKS_PER_SECOND;
    }

    static double residentBytes(long pid) throws IOException {
        return field(pid, "VmRSS") * 1024.0;
    }

    /** What can be had without swapping, of the whole machine; proc_meminfo(5), MemAvailable. */
    static long availableMib() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
            if (line.startsWith("MemAvailable:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
            }
        }
        throw new IOException("/proc/meminfo has no MemAvailable");
    }

    static double threads(long pid) throws IOException {
        return field(pid, "Threads");
    }

    static double descriptors(long pid) throws IOException {
        try (Stream<Path> files = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            return files.count();
        }
    }

    /** A number of {@code /proc/PID/status}. */
    static double field(long pid, String name) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
            if (line.startsWith(name + ":")) {
                return Double.parseDouble(line.replaceAll("\\D+", ""));
            }
        }
        throw new IOException("/proc/" + pid + "/status has no " + name);
    }
}
