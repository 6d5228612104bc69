package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code lockstep drill}. */
@Command(
        name = "drill",
        description =
                "Prove that a failover would work, without touching the primary; run it on the peer. A second standby is resumed from"
                        + " the replica, with no network and throw-away disks, must execute, and is thrown away.")
final class DrillCommand extends AgentCall {
    @Mixin
    VmName vm = new VmName();

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = run(client, vm.text(), "drill", "{}", true);
        if (json) {
            out().println(response.body());
            return ExitCode.OK;
        }
        JsonTree result = response.json().get("result");
        out().println(vm.text() + " would run here from epoch "
                + result.get("epoch").text() + ": its "
                + result.get("processors").text() + " processors executed for "
                + Text.ms(result.get("busyMs").number()) + ".");
        step("snapshot", result, "snapshotMs", "the replica's state at a boundary was held");
        step("copy", result, "copyMs", Text.bytes(result.get("copiedBytes").number()) + " of memory were copied");
        step("start", result, "startMs", "QEMU started");
        step("load", result, "loadMs", "it loaded the state");
        step("run", result, "runMs", "the guest was seen to execute");
        step("remove", result, "removeMs", "all of it was thrown away");
        step("total", result, "totalMs", "");
        return ExitCode.OK;
    }

    private void step(String name, JsonTree result, String field, String what) {
        out().println(String.format(
                        java.util.Locale.ROOT,
                        "  %-8s %12s  %s",
                        name,
                        Text.ms(result.get(field).number()),
                        what)
                .stripTrailing());
    }
}
