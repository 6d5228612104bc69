package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** {@code lockstep events}: a line for each change. */
@Command(name = "events", description = "List what changed at this agent, oldest first; a line for each change.")
final class EventsCommand extends AgentCall {
    @Option(names = "--follow", description = "Go on with new ones as they come, until interrupted.")
    boolean follow;

    @Option(
            names = "--after",
            paramLabel = "ID",
            defaultValue = "0",
            description = "Only those after this id; what is no longer remembered shows as a gap.")
    long after;

    @Override
    int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException {
        if (after < 0) {
            throw new ParameterException(spec.commandLine(), "--after " + after + " < 0");
        }
        Response refusal = client.events(after, this::take);
        if (refusal != null) {
            throw RequestFailedException.of(refusal);
        }
        return ExitCode.OK;
    }

    private boolean take(String line) {
        if (line.startsWith("data: ")) {
            String data = line.substring("data: ".length());
            out().println(json ? data : text(data));
        }
        // The agent says by a comment that there are no more for now.
        boolean more = follow || !line.equals(":");
        return !out().checkError() && more && !Thread.interrupted();
    }

    private static String text(String data) {
        try {
            JsonTree event = JsonTree.parse(data).printable();
            if (event.get("lost").present()) {
                long lost = event.get("lost").integer();
                return "gap lost:" + (lost < 0 ? "unknown" : Long.toString(lost));
            }
            return MachinePicture.time(event.get("wallMs").integer()) + " "
                    + event.get("id").text() + " " + event.get("kind").text() + " vm:"
                    + event.get("subject").text() + " state:"
                    + event.get("state").text() + " "
                    + event.get("text").text();
        } catch (IOException e) {
            return data;
        }
    }
}
