package io.lockstep.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;

/** Says as problems what the HTTP server itself refuses: malformed, too large and late requests, which reach no handler of ours. */
final class ProblemErrors implements Request.Handler {
    private final Admission admission;

    /** @param admission also of those that are refused: who sends nothing else is not served faster */
    ProblemErrors(Admission admission) {
        this.admission = admission;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        admission.admit(request, () -> answer(request, response, callback));
        return true;
    }

    private void answer(Request request, Response response, Callback callback) {
        long beganNs = Expense.ofThisThreadNs();
        try {
            byte[] bytes = ApiHandler.MAPPER
                    .writeValueAsString(problem(request, response))
                    .getBytes(StandardCharsets.UTF_8);
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, Problem.MEDIA_TYPE);
            response.getHeaders().put(HttpHeader.CONTENT_LENGTH, bytes.length);
            response.write(true, ByteBuffer.wrap(bytes), callback);
        } catch (JsonProcessingException e) {
            callback.failed(e);
        } finally {
            admission.done(request, Expense.ofThisThreadNs() - beganNs);
        }
    }

    private static Problem problem(Request request, Response response) {
        int status = response.getStatus();
        Object message = request.getAttribute(ErrorHandler.ERROR_MESSAGE);
        String why = message == null ? "" : ": " + message;
        return switch (status) {
            case 408 ->
                Problem.of(new LockstepException("request-too-slow", "the request was not whole in time" + why + "."));
            case 413 -> Problem.of(413, "request-too-large", "the request is too large" + why + ".");
            case 414 ->
                Problem.of(
                        414,
                        "request-too-large",
                        "the request's path and headers are longer than " + ApiServer.HEADER_BYTES_MAX + " bytes" + why
                                + ".");
            case 431 ->
                Problem.of(
                        431,
                        "request-too-large",
                        "the request's headers are longer than " + ApiServer.HEADER_BYTES_MAX + " bytes" + why + ".");
            case 500 -> Problem.of(500, "internal-error", "the request failed" + why + ". See the agent's log.");
            default -> Problem.of(status, "bad-request", "the request is no HTTP that is understood here" + why + ".");
        };
    }
}
