package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

/** {@code lockstep vms}. */
@Command(name = "vms", description = "List every QEMU VM found on this host, and every replica held here.")
final class VmsCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = get(client, "/v1/vms");
        if (json) {
            out().println(response.body());
            return ExitCode.OK;
        }
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("NAME", "PID", "ROLE", "STATE", "MEMORY", "ACCEL", "UID", "QMP"));
        for (JsonTree vm : response.json().get("vms").elements()) {
            rows.add(List.of(
                    vm.get("name").text(),
                    vm.get("pid").integer() == 0 ? "-" : vm.get("pid").text(),
                    vm.get("role").text(),
                    vm.get("state").text(),
                    vm.get("memoryBytes").integer() == 0
                            ? "-"
                            : Text.bytes(vm.get("memoryBytes").number()),
                    dash(vm.get("accelerator").text()),
                    vm.get("uid").text(),
                    dash(vm.get("qmpPath").text())));
        }
        out().print(Text.table(rows));
        return ExitCode.OK;
    }

    private static String dash(String text) {
        return text.isEmpty() ? "-" : text;
    }
}
