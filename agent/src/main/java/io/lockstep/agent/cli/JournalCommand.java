package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lockstep journal}. */
@Command(name = "journal", description = "List the epochs in the journal of a replica held here, newest first.")
final class JournalCommand extends AgentCall {
    @Mixin
    VmName vm = new VmName();

    @Option(
            names = "--limit",
            paramLabel = "N",
            defaultValue = "100",
            description = "At most so many (default: ${DEFAULT-VALUE}).")
    int limit;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = get(client, "/v1/vms/" + AgentClient.segment(vm.text()) + "/journal?limit=" + limit);
        if (json) {
            out().println(response.body());
            return ExitCode.OK;
        }
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("EPOCH", "TIME", "PAGES", "BYTES"));
        for (JsonTree epoch : response.json().get("epochs").elements()) {
            rows.add(List.of(
                    epoch.get("epoch").text(),
                    Instant.ofEpochMilli(epoch.get("wallMs").integer()).toString(),
                    epoch.get("pages").text(),
                    epoch.get("bytes").text()));
        }
        out().print(Text.table(rows));
        return ExitCode.OK;
    }
}
