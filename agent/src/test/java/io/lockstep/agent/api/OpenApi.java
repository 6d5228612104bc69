package io.lockstep.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.doctor.Finding;
import io.lockstep.agent.view.AgentView;
import io.lockstep.agent.view.DrillRun;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.Floor;
import io.lockstep.agent.view.HardwareEventView;
import io.lockstep.agent.view.HardwareSummary;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.agent.view.HostView;
import io.lockstep.agent.view.JobView;
import io.lockstep.agent.view.JournalEpoch;
import io.lockstep.agent.view.PeerView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Switchover;
import io.lockstep.agent.view.Verification;
import io.lockstep.agent.view.VmSummary;
import java.lang.reflect.AnnotatedElement;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Makes the OpenAPI 3.1 document from the table of endpoints and the records that they answer with. */
final class OpenApi {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private final Map<String, JsonNode> schemas = new TreeMap<>();

    /** The whole document. */
    static ObjectNode document() {
        OpenApi api = new OpenApi();
        ObjectNode document = MAPPER.createObjectNode().put("openapi", "3.1.0");
        document.putObject("info")
                .put("title", "Lockstep's agent")
                .put("version", "1")
                .put(
                        "description",
                        "HTTP/1.1 at the unix socket /run/lockstep/agent.sock, for root and group lockstep; GET also at agent-ro.sock,"
                                + " for every user. Errors are problems (RFC 9457), whose type never changes its meaning.");
        ObjectNode paths = document.putObject("paths");
        for (Endpoint endpoint : Endpoint.values()) {
            String path = "/v1/"
                    + String.join("/", endpoint.template).replace("VM", "{vm}").replace("ID", "{id}");
            ObjectNode item = paths.has(path) ? (ObjectNode) paths.get(path) : paths.putObject(path);
            api.operation(item.putObject(endpoint.method.toLowerCase(Locale.ROOT)), endpoint);
        }
        api.problem();
        for (Class<? extends Record> result : List.of(
                DryRun.class, Verification.class, Switchover.class, Promotion.class, Floor.class, DrillRun.class)) {
            api.schema(result);
        }
        ObjectNode components = document.putObject("components").putObject("schemas");
        api.schemas.forEach(components::set);
        return document;
    }

    private void operation(ObjectNode operation, Endpoint endpoint) {
        operation.put("operationId", endpoint.name().toLowerCase(Locale.ROOT).replace('_', '-'));
        operation.put("summary", endpoint.summary);
        operation.put("description", "Prerequisites: " + endpoint.prerequisites);
        ArrayNode parameters = operation.putArray("parameters");
        for (String part : endpoint.template) {
            if (part.equals("VM") || part.equals("ID")) {
                parameter(parameters, part.toLowerCase(Locale.ROOT), "path", true, "string");
            }
        }
        for (String name : Inputs.query(endpoint)) {
            boolean number = name.equals("limit") || name.equals("after");
            parameter(parameters, name, "query", false, number ? "integer" : "string");
        }
        if (endpoint == Endpoint.EVENTS) {
            parameter(parameters, "Last-Event-ID", "header", false, "integer");
        }
        if (endpoint.verb()) {
            parameter(parameters, "If-Match", "header", false, "string");
            parameter(parameters, "Idempotency-Key", "header", false, "string");
        }
        if (endpoint.method.equals("POST")) {
            ObjectNode body = operation
                    .putObject("requestBody")
                    .putObject("content")
                    .putObject("application/json")
                    .putObject("schema")
                    .put("type", "object");
            ObjectNode properties = body.putObject("properties");
            Inputs.fields(endpoint).forEach((name, kind) -> properties
                    .putObject(name)
                    .put(
                            "type",
                            kind == JsonTree.Kind.TEXT ? "string" : kind.name().toLowerCase(Locale.ROOT)));
            body.put("additionalProperties", false);
        }
        ObjectNode responses = operation.putObject("responses");
        ObjectNode ok = responses.putObject(endpoint.verb() ? "202" : "200").put("description", "Done, or begun.");
        String media =
                switch (endpoint) {
                    case EVENTS -> "text/event-stream";
                    case METRICS_TEXT -> "text/plain";
                    default -> "application/json";
                };
        ok.putObject("content").putObject(media).set("schema", answer(endpoint));
        if (endpoint.verb() || endpoint == Endpoint.VM) {
            problem(responses, "404", "no-such-vm: no such VM is here; a verb has begun no job.");
        }
        problem(responses, "default", "A problem.");
    }

    private static void problem(ObjectNode responses, String status, String description) {
        responses
                .putObject(status)
                .put("description", description)
                .putObject("content")
                .putObject(Problem.MEDIA_TYPE)
                .putObject("schema")
                .put("$ref", "#/components/schemas/Problem");
    }

    private JsonNode answer(Endpoint endpoint) {
        return switch (endpoint) {
            case AGENT -> schema(AgentView.class);
            case HOST ->
                object(Map.of("host", schema(HostView.class), "capabilities", array(Finding.class)), List.of());
            case VMS -> list("vms", VmSummary.class);
            case VM ->
                object(
                        Map.of(
                                "summary", schema(VmSummary.class),
                                "protection", schema(ProtectionStatus.class),
                                "replica", schema(ReplicaView.class)),
                        List.of("protection", "replica"));
            case STATUS ->
                object(
                        Map.of(
                                "protections", array(ProtectionStatus.class),
                                "replicas", array(ReplicaView.class),
                                "hardware", schema(HardwareSummary.class)),
                        List.of());
            case JOURNAL -> {
                ObjectNode page = list("epochs", JournalEpoch.class);
                ((ObjectNode) page.get("properties")).putObject("vm").put("type", "string");
                yield page;
            }
            case HARDWARE -> schema(HardwareView.class);
            case HARDWARE_EVENTS -> list("events", HardwareEventView.class);
            case PEERS -> list("peers", PeerView.class);
            case JOBS -> list("jobs", JobView.class);
            case JOB -> schema(JobView.class);
            case DOCTOR -> object(Map.of("findings", array(Finding.class)), List.of());
            case EVENTS, METRICS_TEXT -> MAPPER.createObjectNode().put("type", "string");
            case OPENAPI -> MAPPER.createObjectNode().put("type", "object");
            case HARDWARE_CLEAR ->
                object(Map.of("cleared", MAPPER.createObjectNode().put("type", "integer")), List.of());
            case HARDWARE_DRILL -> schema(HardwareView.Drill.class);
            default -> schema(JobView.class);
        };
    }

    private ObjectNode list(String name, Class<? extends Record> element) {
        return object(
                Map.of(
                        name,
                        array(element),
                        "nextCursor",
                        MAPPER.createObjectNode().put("type", "string")),
                List.of("nextCursor"));
    }

    private static void parameter(ArrayNode parameters, String name, String in, boolean required, String type) {
        parameters
                .addObject()
                .put("name", name)
                .put("in", in)
                .put("required", required)
                .putObject("schema")
                .put("type", type);
    }

    private static ObjectNode object(Map<String, JsonNode> properties, List<String> optional) {
        ObjectNode object = MAPPER.createObjectNode().put("type", "object");
        ArrayNode required = object.putArray("required");
        ObjectNode fields = object.putObject("properties");
        new TreeMap<>(properties).forEach((name, schema) -> {
            fields.set(name, schema);
            if (!optional.contains(name)) {
                required.add(name);
            }
        });
        return object;
    }

    private ObjectNode array(Class<? extends Record> element) {
        ObjectNode array = MAPPER.createObjectNode().put("type", "array");
        array.set("items", schema(element));
        return array;
    }

    private void problem() {
        schema(Problem.class);
    }

    private ObjectNode schema(Class<?> record) {
        String name = record.getEnclosingClass() == null
                ? record.getSimpleName()
                : record.getEnclosingClass().getSimpleName() + record.getSimpleName();
        if (!schemas.containsKey(name)) {
            ObjectNode object = MAPPER.createObjectNode().put("type", "object");
            schemas.put(name, object);
            ArrayNode required = object.putArray("required");
            ObjectNode properties = object.putObject("properties");
            for (RecordComponent component : record.getRecordComponents()) {
                JsonNode type = type(component.getGenericType());
                boolean nullable = nullable(component.getAnnotatedType())
                        || component.getName().equals("result");
                if (nullable) {
                    ObjectNode either = MAPPER.createObjectNode();
                    either.putArray("anyOf").add(type).addObject().put("type", "null");
                    type = either;
                } else {
                    required.add(component.getName());
                }
                properties.set(component.getName(), type);
            }
        }
        return MAPPER.createObjectNode().put("$ref", "#/components/schemas/" + name);
    }

    private static boolean nullable(AnnotatedElement element) {
        return element.isAnnotationPresent(Nullable.class);
    }

    private JsonNode type(Type type) {
        ObjectNode schema = MAPPER.createObjectNode();
        if (type instanceof ParameterizedType generic) {
            if (generic.getRawType() == List.class) {
                schema.put("type", "array").set("items", type(generic.getActualTypeArguments()[0]));
                return schema;
            }
            return schema.put("type", "object");
        }
        Class<?> plain = (Class<?>) type;
        if (plain == String.class) {
            return schema.put("type", "string");
        }
        if (plain == boolean.class) {
            return schema.put("type", "boolean");
        }
        if (plain == int.class || plain == long.class) {
            return schema.put("type", "integer");
        }
        if (plain == double.class) {
            return schema.put("type", "number");
        }
        if (plain.isEnum()) {
            ArrayNode values = schema.put("type", "string").putArray("enum");
            Arrays.stream(plain.getEnumConstants())
                    .forEach(c -> values.add(c.toString().toLowerCase(Locale.ROOT)));
            return schema;
        }
        return plain.isRecord() ? schema(plain) : schema.put("type", "object");
    }
}
