package io.lockstep.agent.cli;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.client.AgentClient;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The option that every command has. */
public final class RootOption {
    @Option(
            names = "--root",
            paramLabel = "DIR",
            description =
                    "Prefix of the agent's paths: DIR/etc/lockstep, DIR/var/lib/lockstep, DIR/run/lockstep (default: /).")
    Path root = Path.of("/");

    AgentPaths paths() {
        return AgentPaths.under(root);
    }

    AgentClient client() {
        return new AgentClient(paths().socket());
    }
}
