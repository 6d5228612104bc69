package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.cli.Main;
import io.lockstep.agent.supervisor.JvmCommand;
import io.lockstep.replication.LockstepException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.spi.ToolProvider;

/**
 * The product as the launcher would start it, from the classes under test: jars, the JVM's options, and the class archive, which takes jars
 * only. The tests run before Maven packages anything.
 */
final class Installation {
    /** Of a JVM that starts an agent, runs commands and writes 40 MB. */
    private static final int ARCHIVE_SECONDS = 120;

    private final Path project;

    private Installation(Path project) {
        this.project = project;
    }

    /** A directory with {@code lockstep} in it that works like the source tree's. */
    Path project() {
        return project;
    }

    static Installation in(Path directory) throws IOException, InterruptedException, LockstepException {
        Path library = Files.createDirectories(directory.resolve("agent/target/lib"));
        Path options = directory.resolve("agent/jvm.options");
        Files.copy(Path.of(System.getProperty("lockstep.project", ".."), "agent", "jvm.options"), options);
        List<String> command = new ArrayList<>(JvmCommand.agent(options));
        command.add("-Dlockstep.project=" + directory);
        command.addAll(List.of("-cp", classPath(library)));
        Path archive = library.resolve("lockstep-" + Runtime.version() + ".jsa");
        List<String> warmUp = new ArrayList<>(command);
        warmUp.addAll(List.of("-XX:ArchiveClassesAtExit=" + archive, Main.class.getName(), "warm-up"));
        Process made = new ProcessBuilder(warmUp)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve("warm-up.log").toFile())
                .start();
        assertThat(made.waitFor(ARCHIVE_SECONDS, TimeUnit.SECONDS)).isTrue();
        command.addAll(List.of("-XX:SharedArchiveFile=" + archive, Main.class.getName()));
        Path launcher = directory.resolve("lockstep");
        Files.writeString(launcher, "#!/bin/sh\nexec '" + String.join("' '", command) + "' \"$@\"\n");
        Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
        return new Installation(directory);
    }

    /** Jars as they are; what is still a directory of classes becomes one. */
    private static String classPath(Path library) {
        String tested = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path", ""));
        ToolProvider jar = ToolProvider.findFirst("jar").orElseThrow();
        List<String> entries = new ArrayList<>();
        for (String entry : tested.split(File.pathSeparator, -1)) {
            if (entry.endsWith(".jar")) {
                entries.add(entry);
            } else if (Path.of(entry).endsWith("classes")) {
                Path packed = library.resolve("classes-" + entries.size() + ".jar");
                assertThat(jar.run(System.out, System.err, "-c", "-0", "-f", packed.toString(), "-C", entry, "."))
                        .isZero();
                entries.add(packed.toString());
            }
        }
        return String.join(File.pathSeparator, entries);
    }
}
