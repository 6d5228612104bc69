package io.lockstep.agent.cli;

import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import java.io.IOException;

/** The agent answered with a problem, or a job of it ended with one. */
final class RequestFailedException extends Exception {
    final int exitCode;
    final String code;

    private RequestFailedException(String code, String message, int exitCode) {
        super(message);
        this.code = code;
        this.exitCode = exitCode;
    }

    static RequestFailedException of(Response response) throws IOException {
        return of(
                response.json().get("detail").text(),
                response.json().get("code").text(),
                response.status());
    }

    static RequestFailedException ofJob(JsonTree error) {
        return of(error.get("message").text(), error.get("code").text(), 409);
    }

    private static RequestFailedException of(String detail, String code, int status) {
        boolean refused = status / 100 == 4 && !code.equals("internal-error");
        return new RequestFailedException(
                code.isEmpty() ? "status-" + status : code,
                detail.isEmpty() ? "the agent answered with status " + status : detail,
                refused ? ExitCode.REFUSED : ExitCode.FAILED);
    }
}
