package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import java.io.IOException;

/** The agent answered with a problem, or a job of it ended with one. */
final class RequestFailedException extends Exception {
    /** Of HTTP: a value in the request is wrong by itself, whatever the state of the VM. */
    private static final int BAD_REQUEST = 400;

    final int exitCode;
    final String code;

    private RequestFailedException(String code, String message, int exitCode) {
        super(message);
        this.code = code;
        this.exitCode = exitCode;
    }

    static RequestFailedException of(Response response) {
        String detail = "";
        String code = "";
        try {
            JsonTree problem = response.json();
            detail = problem.get("detail").text();
            code = problem.get("code").text();
        } catch (IOException e) {
            // Not the agent's own answer, which is JSON: the status says it all.
        }
        return of(detail, code, response.status());
    }

    static RequestFailedException ofJob(JsonTree error) {
        return of(error.get("message").text(), error.get("code").text(), 409);
    }

    private static RequestFailedException of(String detail, String code, int status) {
        boolean refused = status / 100 == 4 && !code.equals("internal-error");
        int refusal = status == BAD_REQUEST ? ExitCode.USAGE : ExitCode.REFUSED;
        return new RequestFailedException(
                code.isEmpty() ? "status-" + status : code,
                detail.isEmpty() ? "the agent answered with status " + status : detail,
                refused ? refusal : ExitCode.FAILED);
    }
}
