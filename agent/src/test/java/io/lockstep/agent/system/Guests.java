package io.lockstep.agent.system;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The guests' programs, built once by {@code agent/guests/build.sh}, which does nothing when they are there. */
final class Guests {
    private static Path directory;

    private Guests() {}

    static synchronized Path file(String name) throws IOException, InterruptedException {
        if (directory == null) {
            Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
            Process build = new ProcessBuilder(script.toString())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String printed = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (build.waitFor() != 0) {
                throw new IOException(script + " ended with " + build.exitValue());
            }
            directory = Path.of(printed.strip());
        }
        return directory.resolve(name);
    }
}
