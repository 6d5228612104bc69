package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** A command that asks the agent something: options, output, exit status. */
abstract class AgentCall implements Callable<Integer> {
    @Mixin
    RootOption root = new RootOption();

    @Option(names = "--json", description = "Print the agent's answer as JSON.")
    boolean json;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    CommandSpec spec;

    /** Does it; the exit status. */
    abstract int ask(AgentClient client) throws LockstepException, IOException, RequestFailedException;

    @Override
    public Integer call() throws Exception {
        return ask(root.client());
    }

    /** The answer to a GET. */
    static Response get(AgentClient client, String path) throws LockstepException, IOException, RequestFailedException {
        Response response = client.get(path);
        if (!response.ok()) {
            throw RequestFailedException.of(response);
        }
        return response;
    }

    Response run(AgentClient client, String vm, String verb, String body, boolean wait)
            throws LockstepException, IOException, RequestFailedException {
        return new Verb(client, err(), !json && Terminal.attached()).run(vm, verb, body, wait);
    }

    PrintWriter out() {
        return spec.commandLine().getOut();
    }

    PrintWriter err() {
        return spec.commandLine().getErr();
    }

    /** A JSON string literal. */
    static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}
