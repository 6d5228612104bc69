package io.lockstep.agent.log;

import java.nio.file.Path;
import org.apache.logging.log4j.LogManager;

/** The agent's log, as {@code agent-log.properties} describes it; a command has none. */
public final class AgentLog {
    private AgentLog() {}

    /** Call before the first logger is made. */
    public static void start(Path directory) {
        System.setProperty("lockstep.log.directory", directory.toString());
        System.setProperty("log4j2.configurationFile", "classpath:agent-log.properties");
    }

    /** Writes out what is buffered; the last thing that the agent does. */
    public static void stop() {
        LogManager.shutdown();
    }
}
