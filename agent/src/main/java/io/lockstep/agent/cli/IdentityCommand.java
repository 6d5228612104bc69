package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.Identity;
import java.nio.file.Path;
import picocli.CommandLine.Command;

/** {@code lockstep identity}: works on the files, because a peer must be told the fingerprint before the agent first runs. */
@Command(
        name = "identity",
        description = "Print the fingerprint that a peer must be told; create key and certificate if there are none.")
final class IdentityCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException {
        Path directory = root.paths().identity();
        String fingerprint = Identity.openOrCreate(directory).fingerprint();
        out().println(
                        json
                                ? "{\"fingerprint\":" + quoted(fingerprint) + ",\"directory\":"
                                        + quoted(directory.toString()) + "}"
                                : fingerprint);
        return ExitCode.OK;
    }
}
