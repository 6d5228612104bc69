package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code lockstep status}. */
@Command(name = "status", description = "Show what is replicated to and from this host: states, epochs, pauses, lag.")
final class StatusCommand extends AgentCall {
    @Parameters(paramLabel = "VM", arity = "0..1", description = "Only this one.")
    @Nullable
    String vm;

    @Option(
            names = "--watch",
            arity = "0..1",
            fallbackValue = "1",
            paramLabel = "SECONDS",
            description = "Show it again every so many seconds (default: 1), until interrupted.")
    @Nullable
    Double watchSeconds;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        while (true) {
            Response response = get(client, "/v1/status");
            if (watchSeconds != null && !json && Terminal.attached()) {
                out().print("\u001b[H\u001b[2J");
            }
            if (json) {
                out().println(response.body());
            } else {
                print(response.json());
            }
            out().flush();
            if (watchSeconds == null) {
                return ExitCode.OK;
            }
            LockSupport.parkNanos((long) (Math.max(0.05, watchSeconds) * 1e9));
            if (Thread.interrupted()) {
                return ExitCode.OK;
            }
        }
    }

    private void print(JsonTree status) throws RequestFailedException {
        int shown = 0;
        for (JsonTree protection : status.get("protections").elements()) {
            if (vm == null || protection.get("vm").text().equals(vm)) {
                out().print(StatusText.protection(protection));
                shown++;
            }
        }
        for (JsonTree replica : status.get("replicas").elements()) {
            if (vm == null || replica.get("vm").text().equals(vm)) {
                out().print(StatusText.replica(replica));
                shown++;
            }
        }
        if (shown == 0) {
            out().println(
                            vm == null
                                    ? "Nothing is replicated to or from this host. 'lockstep vms' lists its VMs."
                                    : vm + " is not replicated to or from this host. 'lockstep vms' lists its VMs.");
        }
    }
}
