package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep switchover}. */
@Command(name = "switchover", description = "Move a protected VM from here to its peer, with nothing lost.")
final class SwitchoverCommand extends AgentCall {
    @Mixin
    VmSelection vm = new VmSelection();

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.selector(), "switchover", "{}", true);
        JsonTree result = response.json().get("result");
        out().println(
                        json
                                ? response.body()
                                : result.get("vm").text() + " runs on "
                                        + result.get("peer").text() + " from epoch "
                                        + result.get("epoch").text() + "; it stood still for "
                                        + Text.ms(result.get("downMs").number()) + ".");
        return ExitCode.OK;
    }
}
