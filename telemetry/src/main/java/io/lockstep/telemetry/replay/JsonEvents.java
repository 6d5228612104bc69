package io.lockstep.telemetry.replay;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Events in JSON: objects in the form of {@code lockstep hardware events --json}, one to a line, in an array, or in an object's field {@code
 * events}; an object with a field {@code status} is a machine check whose fields are named as the options of {@code lockstep hardware decode}. For
 * one thread.
 */
final class JsonEvents {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Values nest no deeper than document, list, event. */
    private static final int DEPTH_MAX = 3;

    /** Far more than happens before an agent speaks again; sums of millions of them fit into 63 bits. */
    private static final long COUNT_MAX = 1_000_000_000_000L;

    private static final int BANK_MAX = 255;

    private final RecordingSink sink;

    JsonEvents(RecordingSink sink) {
        this.sink = sink;
    }

    /** Takes a value; what is wrong with it is told with the number of its line. */
    void value(String text, long line, long wallMs) {
        try {
            JsonNode node = JSON.readTree(text);
            events(node, line, wallMs, 0);
        } catch (JsonProcessingException e) {
            sink.malformed(line, "no JSON: " + e.getOriginalMessage());
        }
    }

    private void events(JsonNode node, long line, long wallMs, int depth) {
        if (node.isArray() && depth < DEPTH_MAX) {
            node.forEach(element -> events(element, line, wallMs, depth + 1));
        } else if (node.path("events").isArray() && depth < DEPTH_MAX) {
            events(node.get("events"), line, wallMs, depth + 1);
        } else {
            try {
                event(node, wallMs);
            } catch (IllegalArgumentException e) {
                sink.malformed(line, String.valueOf(e.getMessage()));
            }
        }
    }

    private void event(JsonNode node, long wallMs) {
        if (!node.isObject()) {
            throw new IllegalArgumentException("an event is an object, this is " + cut(node.toString()));
        }
        if (node.has("status")) {
            sink.event(MachineCheckDecoder.decode(machineCheck(node, wallMs)));
            return;
        }
        EventKind kind = named(EventKind.values(), node, "kind");
        Severity severity = named(Severity.values(), node, "severity");
        Component component = ComponentWords.parse(node.path("component").asText("this host"));
        long address = node.path("address").isNull() ? HardwareEvent.NO_ADDRESS : number(node, "address", 16, -1);
        HardwareEvent bare = new HardwareEvent(
                within(node, "wallMs", 10, wallMs, 0, RecordingReader.WALL_MS_MAX),
                kind,
                severity,
                component,
                address,
                within(node, "count", 10, 1, Long.MIN_VALUE, COUNT_MAX),
                node.path("source").asText("recorded"),
                "",
                new Raw.Text(node.path("raw").asText("")));
        HardwareEvent event = what(bare, node);
        if (node.has("sequence")) {
            sink.told(event, node.path("refined").asBoolean(false));
        } else {
            sink.event(event);
        }
    }

    /** The phrase stands in the sentence, between what the other fields say. */
    private static HardwareEvent what(HardwareEvent bare, JsonNode node) {
        String line = node.path("line").asText("");
        String without = bare.line();
        String tail = without.substring(without.lastIndexOf(":  (") + 2);
        String head = without.substring(0, without.length() - tail.length());
        boolean fits = line.length() >= without.length() && line.startsWith(head) && line.endsWith(tail);
        String said = fits
                ? line.substring(head.length(), line.length() - tail.length())
                : node.path("what")
                        .asText(bare.kind().name().toLowerCase(Locale.ROOT).replace('_', ' '));
        return bare.saying(said);
    }

    private static MachineCheck machineCheck(JsonNode node, long wallMs) {
        long ipid = number(node, "ipid", 16, 0);
        long synd = number(node, "synd", 16, 0);
        int cpuid = (int) within(node, "cpuid", 16, 0, 0, 0xffff_ffffL);
        return new MachineCheck(
                node.has("time")
                        ? within(node, "time", 10, 0, 0, RecordingReader.WALL_MS_MAX / 1000) * 1000
                        : within(node, "wallMs", 10, wallMs, 0, RecordingReader.WALL_MS_MAX),
                (int) within(node, "vendor", 10, MachineCheck.vendorOf(cpuid, synd, ipid), 0, BANK_MAX),
                cpuid,
                (int) within(node, "socket", 10, -1, -1, Integer.MAX_VALUE),
                (int) within(node, "cpu", 10, -1, -1, Integer.MAX_VALUE),
                (int) within(node, "bank", 10, 0, 0, BANK_MAX),
                (int) within(node, "cs", 16, 0, 0, 0xffff),
                number(node, "mcgcap", 16, 0),
                number(node, "mcgstatus", 16, 0),
                number(node, "status", 16, 0),
                number(node, "addr", 16, 0),
                number(node, "misc", 16, 0),
                synd,
                ipid,
                number(node, "ip", 16, 0),
                number(node, "ppin", 16, 0));
    }

    private static <E extends Enum<E>> E named(E[] all, JsonNode node, String field) {
        String name = node.path(field).asText("");
        for (E one : all) {
            if (one.name().equalsIgnoreCase(name)) {
                return one;
            }
        }
        throw new IllegalArgumentException(field + " '" + cut(name) + "' is not known");
    }

    /** {@link #number} between two others. */
    private static long within(JsonNode node, String field, int base, long fallback, long min, long max) {
        long number = number(node, field, base, fallback);
        if (node.has(field) && (number < min || number > max)) {
            throw new IllegalArgumentException(field + " " + number + (number > max ? " > " + max : " < " + min));
        }
        return number;
    }

    /** A JSON number, or a text in digits to a base; 0x before them makes it hexadecimal. */
    private static long number(JsonNode node, String field, int base, long fallback) {
        JsonNode value = node.get(field);
        if (value == null) {
            return fallback;
        }
        Long number = value.isIntegralNumber() && value.canConvertToLong()
                ? Long.valueOf(value.asLong())
                : parsed(value, base);
        if (number == null) {
            throw new IllegalArgumentException(field + " " + cut(value.toString()) + " is not a number");
        }
        return number;
    }

    private static @Nullable Long parsed(JsonNode value, int base) {
        String text = value.isTextual() ? value.asText() : "";
        String digits = text.replaceFirst("^0[xX]", "");
        try {
            return base == 16 || digits.length() < text.length()
                    ? Long.parseUnsignedLong(digits, 16)
                    : Long.parseLong(digits, base);
        } catch (NumberFormatException e) {
            return null;
        }
    }

    private static String cut(String text) {
        return text.length() > 80 ? text.substring(0, 80) + "…" : text;
    }
}
