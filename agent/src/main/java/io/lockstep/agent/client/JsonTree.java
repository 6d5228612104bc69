package io.lockstep.agent.client;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A JSON document to read fields from; immutable. Fields that are missing read as empty, so that a newer command understands an older agent.
 */
public final class JsonTree {
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    private static final JsonTree MISSING = new JsonTree(null);

    private final @Nullable Object value;

    private JsonTree(@Nullable Object value) {
        this.value = value;
    }

    /** @throws IOException if the text is not JSON */
    public static JsonTree parse(String text) throws IOException {
        try (JsonParser parser = FACTORY.createParser(text)) {
            parser.nextToken();
            JsonTree tree = new JsonTree(value(parser));
            if (parser.nextToken() != null) {
                throw new JsonParseException(parser, "something follows the document");
            }
            return tree;
        }
    }

    /**
     * The same with control characters as {@code \\u001b}: whoever starts a VM chooses its name, and must neither send commands to the terminal of who
     * lists it nor begin a line there.
     */
    public JsonTree printable() {
        return new JsonTree(printable(value));
    }

    private static @Nullable Object printable(@Nullable Object value) {
        if (value instanceof String text) {
            return printable(text);
        }
        if (value instanceof List<?> list) {
            List<@Nullable Object> elements = new ArrayList<>();
            list.forEach(element -> elements.add(printable(element)));
            return elements;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, @Nullable Object> fields = new LinkedHashMap<>();
            map.forEach((name, field) -> fields.put(printable(String.valueOf(name)), printable(field)));
            return fields;
        }
        return value;
    }

    private static String printable(String text) {
        if (text.chars().noneMatch(Character::isISOControl)) {
            return text;
        }
        StringBuilder printable = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            printable.append(Character.isISOControl(c) ? String.format("\\u%04x", (int) c) : c);
        }
        return printable.toString();
    }

    /** A field of an object. */
    public JsonTree get(String field) {
        Object child = value instanceof Map<?, ?> map ? map.get(field) : null;
        return child == null ? MISSING : new JsonTree(child);
    }

    /** Whether there is anything but null here. */
    public boolean present() {
        return value != null;
    }

    /** What a value is. */
    public enum Kind {
        OBJECT("an object"),
        ARRAY("an array"),
        TEXT("text"),
        INTEGER("a whole number"),
        FRACTION("a fraction"),
        BOOLEAN("true or false"),
        NOTHING("null");

        private final String words;

        Kind(String words) {
            this.words = words;
        }

        @Override
        public String toString() {
            return words;
        }
    }

    /** What it is. */
    public Kind kind() {
        if (value instanceof Map<?, ?>) {
            return Kind.OBJECT;
        }
        if (value instanceof List<?>) {
            return Kind.ARRAY;
        }
        if (value instanceof Long) {
            return Kind.INTEGER;
        }
        if (value instanceof Double) {
            return Kind.FRACTION;
        }
        if (value instanceof Boolean) {
            return Kind.BOOLEAN;
        }
        return value == null ? Kind.NOTHING : Kind.TEXT;
    }

    /** Names of an object's fields that are not null, in their order. */
    public List<String> names() {
        List<String> names = new ArrayList<>();
        if (value instanceof Map<?, ?> map) {
            map.keySet().forEach(name -> names.add(String.valueOf(name)));
        }
        return names;
    }

    /** The elements of an array. */
    public List<JsonTree> elements() {
        List<JsonTree> elements = new ArrayList<>();
        if (value instanceof List<?> list) {
            list.forEach(element -> elements.add(new JsonTree(element)));
        }
        return elements;
    }

    /** Text, number or boolean as text; empty if missing. */
    public String text() {
        return value == null ? "" : value.toString();
    }

    /** A whole number; 0 if missing. */
    public long integer() {
        return value instanceof Number number ? number.longValue() : 0;
    }

    /** A number; 0 if missing. */
    public double number() {
        return value instanceof Number number ? number.doubleValue() : 0;
    }

    /** False if missing. */
    public boolean bool() {
        return value instanceof Boolean bool && bool;
    }

    private static @Nullable Object value(JsonParser parser) throws IOException {
        JsonToken token = parser.currentToken();
        if (token == null) {
            throw new IOException("empty JSON");
        }
        switch (token) {
            case START_OBJECT -> {
                Map<String, Object> fields = new LinkedHashMap<>();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String name = parser.currentName();
                    parser.nextToken();
                    Object field = value(parser);
                    if (field != null) {
                        fields.put(name, field);
                    }
                }
                return fields;
            }
            case START_ARRAY -> {
                List<Object> elements = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    Object element = value(parser);
                    elements.add(element == null ? "" : element);
                }
                return elements;
            }
            case VALUE_NUMBER_INT -> {
                return parser.getLongValue();
            }
            case VALUE_NUMBER_FLOAT -> {
                return parser.getDoubleValue();
            }
            case VALUE_TRUE, VALUE_FALSE -> {
                return parser.getBooleanValue();
            }
            case VALUE_NULL -> {
                return null;
            }
            default -> {
                return parser.getText();
            }
        }
    }
}
