package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lockstep protection}. */
@Command(name = "protection", description = "Switch a protected VM between lockstep and async while it runs.")
final class ProtectionCommand extends AgentCall {
    @Mixin
    VmSelection vm = new VmSelection();

    @Option(
            names = "--mode",
            required = true,
            paramLabel = "MODE",
            description = "lockstep: what the VM sends is held until the peer has its epoch; async: it is not.")
    Protection mode = Protection.LOCKSTEP;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response =
                run(client, vm.selector(), "protection", "{\"protection\":" + quoted(mode.text()) + "}", true);
        out().println(json ? response.body() : vm.text() + " is protected as " + mode.text() + ".");
        return ExitCode.OK;
    }
}
