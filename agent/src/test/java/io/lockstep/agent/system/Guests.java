package io.lockstep.agent.system;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The guests' programs, built once by {@code agent/guests/build.sh}, which does nothing when they are there. */
final class Guests {
    private static final Map<List<String>, Path> BUILT = new HashMap<>();

    private Guests() {}

    /** One of the guests of the demo. */
    static Path file(String name) throws IOException, InterruptedException {
        return built(List.of()).resolve(name);
    }

    /** One of the linux guest's files with a kernel that has AHCI. */
    static Path sataFile(String name) throws IOException, InterruptedException {
        return built(List.of("--sata")).resolve(name);
    }

    private static synchronized Path built(List<String> which) throws IOException, InterruptedException {
        Path directory = BUILT.get(which);
        if (directory == null) {
            directory = build(which);
            BUILT.put(which, directory);
        }
        return directory;
    }

    private static Path build(List<String> which) throws IOException, InterruptedException {
        Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
        ProcessBuilder command = new ProcessBuilder(script.toString());
        command.command().addAll(which);
        Process build = command.redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String printed = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (build.waitFor() != 0) {
            throw new IOException(script + " ended with " + build.exitValue());
        }
        return Path.of(printed.strip());
    }
}
