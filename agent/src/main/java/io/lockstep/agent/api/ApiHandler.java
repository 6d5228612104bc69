package io.lockstep.agent.api;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.InputStream;
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
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** HTTP around {@link Routes}: paths, bodies, JSON, problems. */
final class ApiHandler extends Handler.Abstract {
    /** A request is a few names and numbers. */
    static final int BODY_BYTES_MAX = 16 << 10;

    private static final Logger LOG = LoggerFactory.getLogger(ApiHandler.class);

    private final Routes routes;
    private final ObjectMapper mapper = JsonMapper.builder()
            .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.ALWAYS))
            .build();

    ApiHandler(Routes routes) {
        this.routes = routes;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws IOException {
        try {
            Routes.Answer answer = answer(request);
            write(response, callback, answer.status(), "application/json", answer.body());
        } catch (TooLargeException e) {
            problem(response, callback, Problem.of(413, "request-too-large", String.valueOf(e.getMessage())));
        } catch (BadRequestException e) {
            problem(response, callback, Problem.of(400, e.code(), String.valueOf(e.getMessage())));
        } catch (LockstepException e) {
            problem(response, callback, Problem.of(e));
        } catch (RuntimeException e) {
            LOG.error(
                    "{} {} failed: {}",
                    request.getMethod(),
                    request.getHttpURI().getPath(),
                    e,
                    e);
            problem(response, callback, Problem.of(500, "internal-error", e + ". See the agent's log."));
        }
        return true;
    }

    private Routes.Answer answer(Request request) throws IOException, LockstepException {
        List<String> path = segments(String.valueOf(request.getHttpURI().getPath()));
        if (path.isEmpty() || !path.get(0).equals("v1")) {
            throw new LockstepException("no-such-resource", "every resource is under /v1.");
        }
        List<String> resource = path.subList(1, path.size());
        return switch (request.getMethod()) {
            case "GET" -> routes.get(resource, query(request.getHttpURI().getQuery()));
            case "POST" -> routes.post(resource, body(request));
            default -> throw new BadRequestException("method " + request.getMethod() + " is neither GET nor POST.");
        };
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

    private static Map<String, String> query(@org.jspecify.annotations.Nullable String text)
            throws BadRequestException {
        Map<String, String> query = new LinkedHashMap<>();
        if (text != null) {
            for (String pair : text.split("&", -1)) {
                int equals = pair.indexOf('=');
                if (equals > 0) {
                    query.put(decode(pair.substring(0, equals)), decode(pair.substring(equals + 1)));
                }
            }
        }
        return query;
    }

    private static String decode(String text) throws BadRequestException {
        try {
            return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new BadRequestException("the request's path is not percent-encoded UTF-8: " + text + ".");
        }
    }

    private static JsonTree body(Request request) throws IOException, LockstepException {
        if (request.getLength() > BODY_BYTES_MAX) {
            throw new TooLargeException(request.getLength());
        }
        byte[] bytes;
        try (InputStream in = Content.Source.asInputStream(request)) {
            bytes = in.readNBytes(BODY_BYTES_MAX + 1);
        }
        if (bytes.length > BODY_BYTES_MAX) {
            throw new TooLargeException(bytes.length);
        }
        String text = new String(bytes, StandardCharsets.UTF_8);
        try {
            return JsonTree.parse(text.isBlank() ? "{}" : text);
        } catch (JsonProcessingException e) {
            throw new BadRequestException("the request's body is not JSON: " + e.getOriginalMessage() + ".");
        }
    }

    private void problem(Response response, Callback callback, Problem problem) throws IOException {
        write(response, callback, problem.status(), Problem.MEDIA_TYPE, problem);
    }

    private void write(Response response, Callback callback, int status, String mediaType, Object body)
            throws IOException {
        byte[] bytes = mapper.writeValueAsBytes(body);
        response.setStatus(status);
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, mediaType);
        response.getHeaders().put(HttpHeader.CONTENT_LENGTH, bytes.length);
        response.write(true, ByteBuffer.wrap(bytes), callback);
    }

    private static final class TooLargeException extends LockstepException {
        TooLargeException(long bytes) {
            super("request-too-large", "the request's body has " + bytes + " bytes > " + BODY_BYTES_MAX + ".");
        }
    }
}
