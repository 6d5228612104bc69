package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code lockstep hardware clear}. */
@Command(
        name = "clear",
        mixinStandardHelpOptions = true,
        description = "Forget what happened to parts that were replaced: they count as healthy again.")
final class HardwareClearCommand extends AgentCall {
    @Parameters(
            paramLabel = "PART",
            arity = "0..1",
            defaultValue = "",
            description =
                    "A part of the name that 'lockstep hardware' shows, e.g. A2 or a serial number. Without it: all.")
    String part = "";

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = client.post("/v1/hardware/clear", "{\"part\":" + quoted(part) + "}");
        if (!response.ok()) {
            throw RequestFailedException.of(response);
        }
        if (!json && !part.isEmpty() && response.json().get("cleared").integer() == 0) {
            out().println("0 parts cleared: none has a name with '" + part + "'. 'lockstep hardware' shows the names.");
            return ExitCode.OK;
        }
        out().println(json ? response.body() : response.json().get("cleared").integer() + " parts cleared.");
        return ExitCode.OK;
    }
}
