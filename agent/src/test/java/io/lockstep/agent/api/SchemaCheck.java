package io.lockstep.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Checks JSON against the part of JSON Schema that the document uses; what a schema does not name is wrong, too. */
final class SchemaCheck {
    private final JsonNode document;
    private final List<String> complaints = new ArrayList<>();

    private SchemaCheck(JsonNode document) {
        this.document = document;
    }

    static List<String> complaints(JsonNode document, JsonNode schema, JsonNode value) {
        SchemaCheck check = new SchemaCheck(document);
        check.check(schema, value, "$");
        return check.complaints;
    }

    private void check(JsonNode schema, JsonNode value, String place) {
        if (schema.has("$ref")) {
            check(document.at(schema.get("$ref").asText().substring(1)), value, place);
            return;
        }
        if (schema.has("anyOf")) {
            if (!value.isNull()) {
                check(schema.get("anyOf").get(0), value, place);
            }
            return;
        }
        boolean right =
                switch (schema.path("type").asText()) {
                    case "object" -> value.isObject();
                    case "array" -> value.isArray();
                    case "string" -> value.isTextual();
                    case "integer" -> value.isIntegralNumber();
                    case "number" -> value.isNumber();
                    case "boolean" -> value.isBoolean();
                    default -> false;
                };
        if (!right) {
            complaints.add(place + " is no " + schema + ": " + value);
            return;
        }
        for (JsonNode required : schema.path("required")) {
            if (!value.has(required.asText())) {
                complaints.add(place + " has no " + required.asText());
            }
        }
        if (schema.has("properties")) {
            for (Map.Entry<String, JsonNode> field : value.properties()) {
                JsonNode property = schema.get("properties").get(field.getKey());
                if (property == null) {
                    complaints.add(place + " has an unknown " + field.getKey());
                } else {
                    check(property, field.getValue(), place + "." + field.getKey());
                }
            }
        }
        for (int i = 0; schema.has("items") && i < value.size(); i++) {
            check(schema.get("items"), value.get(i), place + "[" + i + "]");
        }
        if (schema.has("enum")) {
            boolean one = false;
            for (JsonNode choice : schema.get("enum")) {
                one |= choice.equals(value);
            }
            if (!one) {
                complaints.add(place + " is none of " + schema.get("enum") + ": " + value);
            }
        }
    }
}
