package io.lockstep.agent.api;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.util.Map;

/**
 * What readers of the read-only socket, who may be anybody on this host, see of an answer: neither the machine's UUID, which is for root alone in
 * the kernel's own files, too, nor the arguments of the configuration's commands, among which passwords are, and pseudonyms where names are hidden.
 * Only texts and the names of the configuration's VMs are changed, so that an answer keeps its form whatever a VM is called. Any thread.
 */
final class ReaderView {
    private static final String HIDDEN = "hidden";

    private final Pseudonyms names;

    private ReaderView(Pseudonyms names) {
        this.names = names;
    }

    /** An answer as JSON. */
    static String of(Object answer, Pseudonyms names) throws JsonProcessingException {
        JsonNode tree = ApiHandler.MAPPER.valueToTree(answer);
        return ApiHandler.MAPPER.writeValueAsString(new ReaderView(names).shown("", tree, false));
    }

    /** @param configured whether it is part of the configuration in force */
    private JsonNode shown(String field, JsonNode node, boolean configured) {
        if (field.equals("productUuid")) {
            return TextNode.valueOf("");
        }
        if (configured && field.endsWith("ommand") && node.isArray()) {
            return program(node);
        }
        if (configured && (field.equals("standbyNetdevs") || field.equals("standbyReplacements"))) {
            return ApiHandler.MAPPER.createObjectNode();
        }
        if (node.isObject()) {
            return object(field, node, configured || field.equals("configuration"));
        }
        if (node.isArray()) {
            ArrayNode elements = ApiHandler.MAPPER.createArrayNode();
            node.forEach(element -> elements.add(shown("", element, configured)));
            return elements;
        }
        if (!node.isTextual() || !names.hiding()) {
            return node;
        }
        // The path of a monitor is a name, too.
        return field.equals("qmpPath") ? ApiHandler.MAPPER.nullNode() : TextNode.valueOf(names.hide(node.textValue()));
    }

    private ObjectNode object(String field, JsonNode node, boolean configured) {
        ObjectNode fields = ApiHandler.MAPPER.createObjectNode();
        boolean byName = configured && field.equals("vms");
        for (Map.Entry<String, JsonNode> each : node.properties()) {
            String name = byName ? names.of(each.getKey()) : each.getKey();
            fields.set(name, shown(byName ? "" : each.getKey(), each.getValue(), configured));
        }
        return fields;
    }

    private static JsonNode program(JsonNode command) {
        ArrayNode shown = ApiHandler.MAPPER.createArrayNode();
        if (!command.isEmpty()) {
            shown.add(command.get(0));
        }
        return command.size() > 1 ? shown.add(HIDDEN) : shown;
    }
}
