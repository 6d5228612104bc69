package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.time.Instant;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code lockstep hardware events}. */
@Command(
        name = "events",
        mixinStandardHelpOptions = true,
        description = "List what happened to the hardware of this host, oldest first.")
final class HardwareEventsCommand extends AgentCall {
    private static final long FOLLOW_NS = 200_000_000;

    @Option(names = "--follow", description = "Go on with new ones as they come, until interrupted.")
    boolean follow;

    @Option(
            names = "--since",
            paramLabel = "WHEN",
            converter = Since.class,
            description = "Only those since then: " + Since.ACCEPTED + ".")
    @Nullable
    Instant since;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        long fromMs = since == null ? 0 : since.toEpochMilli();
        long after = 0;
        while (true) {
            Response response = get(client, "/v1/hardware/events?after=" + after + "&limit=10000");
            if (json && !follow && since == null) {
                out().println(response.body());
                return ExitCode.OK;
            }
            for (JsonTree event : response.json().get("events").elements()) {
                after = Math.max(after, event.get("sequence").integer());
                if (event.get("wallMs").integer() >= fromMs) {
                    out().println(json ? json(event) : line(event));
                }
            }
            boolean heard = !out().checkError();
            if (!follow || !heard || Thread.interrupted()) {
                return ExitCode.OK;
            }
            LockSupport.parkNanos(FOLLOW_NS);
        }
    }

    private static String line(JsonTree event) {
        return MachinePicture.time(event.get("wallMs").integer()) + "  "
                + (event.get("refined").bool() ? "(more on that) " : "")
                + event.get("line").text();
    }

    /** All that the agent said, so that {@code lockstep hardware replay} can take it up. */
    private static String json(JsonTree event) {
        String address = event.get("address").text();
        return "{\"sequence\":" + event.get("sequence").integer() + ",\"wallMs\":"
                + event.get("wallMs").integer()
                + ",\"kind\":" + quoted(event.get("kind").text()) + ",\"severity\":"
                + quoted(event.get("severity").text()) + ",\"component\":"
                + quoted(event.get("component").text())
                + (address.isEmpty() ? "" : ",\"address\":" + quoted(address)) + ",\"count\":"
                + event.get("count").integer() + ",\"source\":"
                + quoted(event.get("source").text()) + ",\"line\":"
                + quoted(event.get("line").text()) + ",\"raw\":"
                + quoted(event.get("raw").text()) + ",\"refined\":"
                + event.get("refined").bool() + "}";
    }
}
