package io.lockstep.agent.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.view.JobView;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.URLDecoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Promise;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** HTTP around {@link Routes}: paths, bodies, JSON, problems. */
final class ApiHandler extends Handler.Abstract {
    /** A request is a few names and numbers. */
    static final int BODY_BYTES_MAX = 16 << 10;

    private static final byte[] NO_BODY = {};

    /** A UUID has 36. */
    private static final int KEY_CHARACTERS_MAX = 128;

    private static final Logger LOG = LoggerFactory.getLogger(ApiHandler.class);

    private final Routes routes;
    static final ObjectMapper MAPPER = JsonMapper.builder()
            .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.ALWAYS))
            .build();

    private final VmOperations operations;
    private final EventStreams streams;
    private final ApiRounds rounds;
    private final boolean hideGuestNames;
    private final Admission admission;

    /** @param hideGuestNames whether readers of the read-only socket see pseudonyms of VMs */
    ApiHandler(
            Routes routes,
            VmOperations operations,
            EventStreams streams,
            ApiRounds rounds,
            Admission admission,
            boolean hideGuestNames) {
        this.routes = routes;
        this.operations = operations;
        this.streams = streams;
        this.rounds = rounds;
        this.admission = admission;
        this.hideGuestNames = hideGuestNames;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
        admission.admit(request, () -> {
            if (request.getLength() > BODY_BYTES_MAX) {
                admission.done(request, 0);
                problem(response, callback, tooLarge(request.getLength()));
            } else {
                take(request, response, callback);
            }
        });
        return true;
    }

    /** Waits for a body without a thread: a client that sends it slowly keeps nobody else from being served. */
    private void take(Request request, Response response, Callback callback) {
        if (!request.getMethod().equals("POST")) {
            serve(request, response, callback, NO_BODY);
            return;
        }
        Content.Source.asByteArrayAsync(request, BODY_BYTES_MAX + 1, new Promise.Invocable<byte[]>() {
            @Override
            public InvocationType getInvocationType() {
                return InvocationType.BLOCKING;
            }

            @Override
            public void succeeded(byte[] bytes) {
                if (bytes.length <= BODY_BYTES_MAX) {
                    serve(request, response, callback, bytes);
                } else {
                    admission.done(request, 0);
                    problem(response, callback, tooLarge(bytes.length));
                }
            }

            @Override
            public void failed(Throwable failure) {
                admission.done(request, 0);
                if (failure instanceof IllegalStateException) {
                    problem(response, callback, tooLarge(BODY_BYTES_MAX + 1));
                } else {
                    Response.writeError(request, response, callback, failure);
                }
            }
        });
    }

    private static Problem tooLarge(long bytes) {
        return Problem.of(new LockstepException(
                "request-too-large", "the request's body has " + bytes + " bytes > " + BODY_BYTES_MAX + "."));
    }

    private void serve(Request request, Response response, Callback callback, byte[] body) {
        long takenNs = System.nanoTime();
        long beganNs = Expense.ofThisThreadNs();
        try {
            route(request, response, callback, body);
        } finally {
            long nowNs = System.nanoTime();
            rounds.answer.took(nowNs - takenNs);
            admission.done(request, Expense.ofThisThreadNs() - beganNs);
        }
    }

    private void route(Request request, Response response, Callback callback, byte[] body) {
        Pseudonyms names = Pseudonyms.NONE;
        try {
            String connector = Admission.connector(request);
            boolean reader = connector.equals(ApiServer.READ_ONLY);
            if (reader && hideGuestNames) {
                names = Pseudonyms.of(operations);
            }
            List<String> path = segments(String.valueOf(request.getHttpURI().getPath()));
            boolean metrics = path.equals(List.of("metrics"));
            if (connector.equals(ApiServer.METRICS) && !metrics) {
                throw new LockstepException("no-such-resource", "this address has /metrics alone.");
            }
            Endpoint endpoint = endpoint(request, response, metrics ? List.of("v1", "metrics") : path);
            if (reader && !endpoint.method.equals("GET")) {
                throw new LockstepException(
                        "read-only-socket",
                        "this socket is for reading alone: use agent.sock, as root or in group lockstep.");
            }
            answer(request, response, callback, endpoint, path, names, body);
        } catch (BadRequestException e) {
            problem(response, callback, Problem.of(400, e.code(), names.hide(String.valueOf(e.getMessage()))));
        } catch (LockstepException e) {
            problem(response, callback, Problem.of(e, names.hide(String.valueOf(e.getMessage()))));
        } catch (IOException | RuntimeException e) {
            LOG.error(
                    "{} {} failed: {}",
                    request.getMethod(),
                    request.getHttpURI().getPath(),
                    e,
                    e);
            problem(response, callback, Problem.of(500, "internal-error", e + ". See the agent's log."));
        }
    }

    private static Endpoint endpoint(Request request, Response response, List<String> path) throws LockstepException {
        if (path.isEmpty() || !path.get(0).equals("v1")) {
            throw new LockstepException("no-such-resource", "every resource is under /v1.");
        }
        String method = request.getMethod();
        List<String> resource = path.subList(1, path.size());
        // HEAD is GET without the body, which Jetty leaves out; a stream has no end whose length could be told.
        Endpoint endpoint = Endpoint.of(method.equals("HEAD") ? "GET" : method, resource);
        if (endpoint != null && !(endpoint == Endpoint.EVENTS && method.equals("HEAD"))) {
            return endpoint;
        }
        for (String other : List.of("GET", "POST")) {
            if (Endpoint.of(other, resource) != null) {
                boolean head = other.equals("GET") && !method.equals("HEAD");
                response.getHeaders().put(HttpHeader.ALLOW, head ? "GET, HEAD" : other);
                throw new LockstepException(
                        "method-not-allowed",
                        request.getHttpURI().getPath() + " is for " + other + ", not " + method + ".");
            }
        }
        throw Routes.noSuchResource(resource);
    }

    private void answer(
            Request request,
            Response response,
            Callback callback,
            Endpoint endpoint,
            List<String> path,
            Pseudonyms names,
            byte[] body)
            throws IOException, LockstepException {
        switch (endpoint) {
            case METRICS_TEXT ->
                write(
                        response,
                        callback,
                        200,
                        "text/plain; version=0.0.4; charset=utf-8",
                        operations.metrics(names::of, rounds.all()));
            case OPENAPI -> write(response, callback, 200, "application/json", OpenApiDocument.text());
            case EVENTS ->
                streams.add(
                        request,
                        response,
                        callback,
                        names,
                        Admission.connector(request).equals(ApiServer.READ_ONLY));
            default -> {
                List<String> resource = path.subList(1, path.size());
                Routes.Answer answer = endpoint.method.equals("GET")
                        ? routes.get(
                                endpoint,
                                real(names, endpoint, resource),
                                real(names, query(request.getHttpURI().getQuery())))
                        : routes.post(endpoint, resource, wish(request, body));
                if (answer.tag() != null) {
                    response.getHeaders().put(HttpHeader.ETAG, answer.tag());
                }
                if (endpoint.verb() && answer.body() instanceof JobView job) {
                    response.getHeaders().put(HttpHeader.LOCATION, "/v1/jobs/" + job.id());
                }
                write(
                        response,
                        callback,
                        answer.status(),
                        "application/json",
                        Admission.connector(request).equals(ApiServer.READ_ONLY)
                                ? ReaderView.of(answer.body(), names)
                                : json(answer.body()));
            }
        }
    }

    private static List<String> real(Pseudonyms names, Endpoint endpoint, List<String> resource)
            throws LockstepException {
        List<String> real = new ArrayList<>(resource);
        int vm = endpoint.template.indexOf("VM");
        if (vm >= 0) {
            real.set(vm, names.real(resource.get(vm)));
        }
        return real;
    }

    private static Map<String, String> real(Pseudonyms names, Map<String, String> query) throws LockstepException {
        String vm = query.get("vm");
        if (vm != null) {
            query.put("vm", names.real(vm));
        }
        return query;
    }

    private static String json(Object body) throws JsonProcessingException {
        return MAPPER.writeValueAsString(body);
    }

    private static List<String> segments(String rawPath) throws BadRequestException {
        List<String> segments = new ArrayList<>();
        for (String segment : rawPath.split("/", -1)) {
            if (!segment.isEmpty()) {
                segments.add(decode(segment));
            }
        }
        return segments;
    }

    private static Map<String, String> query(@Nullable String text) throws BadRequestException {
        Map<String, String> query = new LinkedHashMap<>();
        if (text != null) {
            for (String pair : text.split("&", -1)) {
                int equals = pair.indexOf('=');
                if (pair.isEmpty()) {
                    continue;
                }
                if (equals <= 0) {
                    throw new BadRequestException("the query has " + pair + " where NAME=VALUE must be.");
                }
                String name = decode(pair.substring(0, equals));
                if (query.put(name, decode(pair.substring(equals + 1))) != null) {
                    throw new BadRequestException("the query has " + name + " twice.");
                }
            }
        }
        return query;
    }

    private static String decode(String text) throws BadRequestException {
        try {
            return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new BadRequestException("the request's path or query is not percent-encoded UTF-8: " + text + ".");
        }
    }

    private static Routes.Wish wish(Request request, byte[] body) throws IOException, LockstepException {
        String text = new String(body, StandardCharsets.UTF_8);
        try {
            return new Routes.Wish(
                    JsonTree.parse(text.isBlank() ? "{}" : text), text, ifMatch(request), idempotencyKey(request));
        } catch (JsonProcessingException e) {
            throw new BadRequestException("the request's body is not JSON: " + e.getOriginalMessage() + ".");
        }
    }

    /** Several of it are one list, RFC 9110 5.3. */
    private static @Nullable String ifMatch(Request request) {
        List<String> fields = request.getHeaders().getValuesList(HttpHeader.IF_MATCH);
        return fields.isEmpty() ? null : String.join(", ", fields);
    }

    private static @Nullable String idempotencyKey(Request request) throws BadRequestException {
        List<String> keys = request.getHeaders().getValuesList("Idempotency-Key");
        if (keys.size() > 1) {
            throw new BadRequestException("the request has " + keys.size() + " Idempotency-Keys, and may have one.");
        }
        String key = keys.isEmpty() ? null : keys.get(0);
        if (key != null && (key.isBlank() || key.length() > KEY_CHARACTERS_MAX)) {
            throw new BadRequestException("Idempotency-Key has " + key.length() + " characters, and must have 1.."
                    + KEY_CHARACTERS_MAX + ", not all blank.");
        }
        return key;
    }

    private static void problem(Response response, Callback callback, Problem problem) {
        try {
            write(response, callback, problem.status(), Problem.MEDIA_TYPE, json(problem));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a problem cannot be rendered", e);
        }
    }

    private static void write(Response response, Callback callback, int status, String mediaType, String body) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, mediaType);
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, bytes.length);
        response.write(true, ByteBuffer.wrap(bytes), callback);
    }
}
