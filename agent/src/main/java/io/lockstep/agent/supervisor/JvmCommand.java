package io.lockstep.agent.supervisor;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** How a JVM of ours is started: the options come from the one file that the launcher script reads, too. */
public final class JvmCommand {
    /** The file's headings; a section goes on to the next one. */
    private static final String EVERY = "# Every JVM:";

    private static final String NEWER = "# JDK 24 and newer only:";
    private static final String AGENT = "# The agent:";
    private static final String COMMANDS = "# Commands and the supervisor:";

    private JvmCommand() {}

    /** Program and options of an agent on this JDK, up to its class path; the main class and its arguments follow. */
    public static List<String> agent(Path optionsFile) throws LockstepException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        try {
            command.addAll(
                    options(Files.readAllLines(optionsFile), Runtime.version().feature(), AGENT));
        } catch (IOException e) {
            throw new LockstepException(
                    "options-unreadable", "cannot read the JVM's options: " + e + ". Install Lockstep again.", e);
        }
        Path archive = archive(optionsFile);
        if (Files.exists(archive)) {
            command.add("-XX:SharedArchiveFile=" + archive);
        }
        String project = System.getProperty("lockstep.project");
        if (project != null) {
            command.add("-Dlockstep.project=" + project);
        }
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        return command;
    }

    /** The classes as this JDK has prepared them; the launcher makes it after a build. */
    static Path archive(Path optionsFile) {
        return optionsFile.resolveSibling("target/lib/lockstep-" + Runtime.version() + ".jsa");
    }

    static List<String> options(List<String> lines, int feature, String role) {
        List<String> options = new ArrayList<>();
        boolean wanted = false;
        for (String line : lines) {
            if (line.startsWith("#")) {
                wanted = switch (line) {
                    case EVERY -> true;
                    case NEWER -> feature >= 24;
                    case AGENT, COMMANDS -> line.equals(role);
                    default -> wanted;
                };
            } else if (wanted && !line.isBlank()) {
                options.add(line.strip());
            }
        }
        return options;
    }
}
