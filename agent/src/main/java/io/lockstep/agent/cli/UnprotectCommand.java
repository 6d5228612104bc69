package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep unprotect}. */
@Command(
        name = "unprotect",
        description = "End a VM's protection, leave its QEMU as it was found, and remove the replica.")
final class UnprotectCommand extends AgentCall {
    @Mixin
    VmSelection vm = new VmSelection();

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.selector(), "unprotect", "{}", true);
        out().println(json ? response.body() : vm.text() + " is not protected any more.");
        return ExitCode.OK;
    }
}
