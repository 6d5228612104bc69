package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lockstep failover}. */
@Command(
        name = "failover",
        description = "Resume a VM here from its replica; run it on the peer, when the primary's host is dead.")
final class FailoverCommand extends AgentCall {
    @Mixin
    VmName vm = new VmName();

    @Option(
            names = "--force",
            description =
                    "Without fencing, and also when the primary released the replica. You answer for it that the VM does not run"
                            + " elsewhere: two of it corrupt its disks.")
    boolean force;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.text(), "failover", "{\"force\":" + force + "}", true);
        JsonTree result = response.json().get("result");
        out().println(
                        json
                                ? response.body()
                                : vm.text() + " runs here from epoch "
                                        + result.get("epoch").text() + ", resumed in "
                                        + Text.ms(result.get("resumeMs").number()) + ", pid "
                                        + result.get("pid").text() + ", QMP "
                                        + result.get("qmpPath").text() + ".");
        return ExitCode.OK;
    }
}
