package io.lockstep.agent.api;

import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.client.JsonTree.Kind;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What a request to each endpoint may say besides its path. What is misspelt or of another type is refused, never taken as left out. */
final class Inputs {
    private Inputs() {}

    /** Parameters of a query. */
    static List<String> query(Endpoint endpoint) {
        return switch (endpoint) {
            case VMS, JOURNAL, PEERS, JOBS -> List.of("limit", "cursor");
            case HARDWARE_EVENTS -> List.of("limit", "cursor", "after");
            case STATUS -> List.of("vm");
            default -> List.of();
        };
    }

    /** Fields of a body, by name. */
    static Map<String, Kind> fields(Endpoint endpoint) {
        Map<String, Kind> fields = new LinkedHashMap<>();
        switch (endpoint) {
            case PROTECT, DRY_RUN -> {
                fields.put("peer", Kind.TEXT);
                fields.put("epochMs", Kind.INTEGER);
                fields.put("tracker", Kind.TEXT);
                fields.put("protection", Kind.TEXT);
                fields.put("allowUnheldOutput", Kind.BOOLEAN);
            }
            case FAILOVER -> fields.put("force", Kind.BOOLEAN);
            case PROTECTION -> fields.put("protection", Kind.TEXT);
            case FLOOR -> fields.put("samples", Kind.INTEGER);
            case HARDWARE_CLEAR -> fields.put("part", Kind.TEXT);
            case HARDWARE_DRILL -> {
                fields.put("name", Kind.TEXT);
                fields.put("recording", Kind.TEXT);
            }
            default -> {}
        }
        return fields;
    }

    static void checkQuery(Endpoint endpoint, Map<String, String> query) throws BadRequestException {
        for (String name : query.keySet()) {
            if (!query(endpoint).contains(name)) {
                throw new BadRequestException("there is no parameter " + name + " here" + but(query(endpoint)) + ".");
            }
        }
    }

    static void checkBody(Endpoint endpoint, JsonTree body) throws BadRequestException {
        if (body.kind() != Kind.OBJECT) {
            throw new BadRequestException("the request's body is " + body.kind() + ", and must be an object.");
        }
        Map<String, Kind> fields = fields(endpoint);
        for (String name : body.names()) {
            Kind kind = fields.get(name);
            if (kind == null) {
                throw new BadRequestException(
                        "there is no field " + name + " here" + but(List.copyOf(fields.keySet())) + ".");
            }
            if (body.get(name).kind() != kind) {
                throw new BadRequestException(name + " is " + body.get(name).kind() + ", and must be " + kind + ".");
            }
        }
    }

    private static String but(List<String> names) {
        return names.isEmpty() ? "" : ", but " + String.join(", ", names);
    }
}
