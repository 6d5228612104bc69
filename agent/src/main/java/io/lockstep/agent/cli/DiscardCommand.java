package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep discard}. */
@Command(
        name = "discard",
        description =
                "Remove a replica that is held here, with its journal. Refused while its primary is connected ('lockstep unprotect'"
                        + " there does it), and while the VM runs here.")
final class DiscardCommand extends AgentCall {
    @Mixin
    VmName vm = new VmName();

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.text(), "discard", "{}", true);
        out().println(json ? response.body() : "The replica of " + vm.text() + " is removed.");
        return ExitCode.OK;
    }
}
