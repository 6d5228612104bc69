package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

/** {@code lockstep status}. */
@Command(name = "status", description = "Show what is replicated to and from this host: states, epochs, pauses, lag.")
final class StatusCommand extends AgentCall {
    private static final double WATCH_SECONDS_MIN = 0.1;
    private static final double WATCH_SECONDS_MAX = 3600;

    @Parameters(paramLabel = "VM", arity = "0..1", description = "Only this one: its name, or the pid of its QEMU.")
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
        if (watchSeconds != null && !(watchSeconds >= WATCH_SECONDS_MIN && watchSeconds <= WATCH_SECONDS_MAX)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "--watch " + watchSeconds + " is not in " + WATCH_SECONDS_MIN + ".." + WATCH_SECONDS_MAX);
        }
        String path = "/v1/status" + (vm == null ? "" : "?vm=" + AgentClient.segment(VmName.checked(vm, spec)));
        while (true) {
            Response response = get(client, path);
            if (watchSeconds != null && !json && Terminal.clears()) {
                out().print("\u001b[H\u001b[2J");
            }
            if (json) {
                out().println(response.body());
            } else {
                print(response.json());
            }
            // A reader that has gone, e.g. head, wants no more.
            if (out().checkError() || watchSeconds == null) {
                return ExitCode.OK;
            }
            LockSupport.parkNanos((long) (watchSeconds * 1e9));
            if (Thread.interrupted()) {
                return ExitCode.OK;
            }
        }
    }

    private void print(JsonTree status) {
        List<JsonTree> protections = status.get("protections").elements();
        List<JsonTree> replicas = status.get("replicas").elements();
        protections.forEach(protection -> out().print(StatusText.protection(protection)));
        replicas.forEach(replica -> out().print(StatusText.replica(replica)));
        out().print(StatusText.hardware(status.get("hardware")));
        if (protections.isEmpty() && replicas.isEmpty()) {
            out().println("Nothing is replicated to or from this host. 'lockstep vms' lists its VMs.");
        }
    }
}
