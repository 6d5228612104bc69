package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;

/** {@code lockstep hardware}: how the hardware of this host fares. */
@Command(
        name = "hardware",
        description =
                "Show how the hardware of this host fares: its modules, what happened, the evidence, what followed.",
        subcommands = {
            HardwareEventsCommand.class,
            HardwareClearCommand.class,
            HardwareDecodeCommand.class,
            HardwareReplayCommand.class
        })
final class HardwareCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = get(client, "/v1/hardware");
        if (json) {
            out().println(response.body());
        } else {
            out().print(MachinePicture.of(response.json(), Terminal.colours()));
        }
        return ExitCode.OK;
    }
}
