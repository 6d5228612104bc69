package io.lockstep.agent.config;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.dataformat.toml.TomlFactory;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.StringReader;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A TOML file as nested maps, with the places where its keys stand: Jackson reads the values but forgets the places, so a second, line-wise
 * reading finds those.
 */
final class TomlDocument {
    private static final String PART = "(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')";
    private static final String PATH = PART + "(?:\\s*\\.\\s*" + PART + ")*";
    private static final Pattern TABLE = Pattern.compile("^\\s*\\[\\[?\\s*(" + PATH + ")\\s*\\]");
    private static final Pattern ASSIGNMENT = Pattern.compile("^\\s*(" + PATH + ")\\s*=");

    private final String file;
    private final Map<String, Object> tables;
    private final Map<List<String>, String> places = new HashMap<>();

    private TomlDocument(String file, Map<String, Object> tables) {
        this.file = file;
        this.tables = tables;
    }

    /** @param file its name, for messages */
    static TomlDocument parse(String file, String text) throws LockstepException {
        if (text.startsWith("\uFEFF")) {
            throw new LockstepException(
                    "configuration-invalid",
                    file + " line 1, column 1: a byte order mark. Save the file as UTF-8 without one.");
        }
        try (JsonParser parser = new TomlFactory().createParser(new StringReader(text))) {
            parser.nextToken();
            TomlDocument document = new TomlDocument(file, object(parser));
            document.locate(text);
            return document;
        } catch (JsonProcessingException e) {
            String repeated = new TomlDocument(file, Map.of()).locate(text);
            if (e.getOriginalMessage().startsWith("Duplicate key") && !repeated.isEmpty()) {
                throw new LockstepException("configuration-invalid", file + " " + repeated, e);
            }
            String place = e.getLocation() == null
                    ? file
                    : file + " line " + e.getLocation().getLineNr() + ", column "
                            + e.getLocation().getColumnNr();
            throw new LockstepException(
                    "configuration-invalid", place + ": not TOML: " + e.getOriginalMessage() + ".", e);
        } catch (IOException e) {
            throw new LockstepException("configuration-invalid", file + ": " + e.getMessage() + ".", e);
        }
    }

    /** Tables are maps, arrays lists, the rest String, Long (BigInteger if it is too large), Double, Boolean. */
    Map<String, Object> tables() {
        return tables;
    }

    /** File, line and column of a key, or of the nearest table around it. */
    String place(List<String> path) {
        for (int length = path.size(); length > 0; length--) {
            String place = places.get(path.subList(0, length));
            if (place != null) {
                return file + " " + place;
            }
        }
        return file;
    }

    private static Map<String, Object> object(JsonParser parser) throws IOException {
        Map<String, Object> fields = new LinkedHashMap<>();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            parser.nextToken();
            fields.put(name, value(parser));
        }
        return fields;
    }

    private static Object value(JsonParser parser) throws IOException {
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(parser);
            case START_ARRAY -> {
                List<Object> elements = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    elements.add(value(parser));
                }
                yield elements;
            }
            // A BigInteger where a Long cannot hold it: who reads it knows its place.
            case VALUE_NUMBER_INT -> parser.getNumberValue() instanceof BigInteger big ? big : parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> parser.getText();
        };
    }

    /** Finds where keys stand; says where the first one stands that was there before, which the parser notices only behind its value. */
    private String locate(String text) {
        String repeated = "";
        List<String> table = List.of();
        int line = 0;
        for (String content : text.split("\n", -1)) {
            line++;
            Matcher matcher = TABLE.matcher(content);
            if (matcher.find()) {
                table = parts(matcher.group(1));
                places.putIfAbsent(table, "line " + line + ", column " + (matcher.start(1) + 1));
                continue;
            }
            matcher = ASSIGNMENT.matcher(content);
            if (matcher.find()) {
                List<String> path = new ArrayList<>(table);
                path.addAll(parts(matcher.group(1)));
                String place = "line " + line + ", column " + (matcher.start(1) + 1);
                String first = places.putIfAbsent(path, place);
                if (first != null && repeated.isEmpty()) {
                    repeated = place + ": " + String.join(".", path) + " stands twice, first at " + first
                            + ". Remove one of them.";
                }
            }
        }
        return repeated;
    }

    private static List<String> parts(String path) {
        List<String> parts = new ArrayList<>();
        Matcher matcher = Pattern.compile(PART).matcher(path);
        while (matcher.find()) {
            String part = matcher.group();
            boolean quoted = part.startsWith("\"") || part.startsWith("'");
            parts.add(quoted ? part.substring(1, part.length() - 1) : part);
        }
        return parts;
    }
}
