package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Command;

/** {@code lockstep peers}. */
@Command(
        name = "peers",
        description = "List the peers of the configuration: address, whether a session is open, health, fingerprint.")
final class PeersCommand extends AgentCall {
    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        Response response = get(client, "/v1/peers");
        if (json) {
            out().println(response.body());
            return ExitCode.OK;
        }
        List<JsonTree> peers = response.json().get("peers").elements();
        if (peers.isEmpty()) {
            out().println("no peer is configured: 'lockstep pair' makes one known");
            return ExitCode.OK;
        }
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("NAME", "ADDRESS", "SESSION", "HEALTH", "FINGERPRINT"));
        for (JsonTree peer : peers) {
            rows.add(List.of(
                    peer.get("name").text(),
                    peer.get("address").text(),
                    peer.get("connected").bool() ? "open" : "none",
                    peer.get("health").text(),
                    peer.get("fingerprint").text()));
        }
        out().print(Text.table(rows));
        return ExitCode.OK;
    }
}
