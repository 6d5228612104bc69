package io.lockstep.telemetry.trace;

import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The layout of one event, from its {@code format} file: offsets, sizes and numbers differ between kernels and are found by name; Linux
 * Documentation/trace/events.rst. Immutable.
 */
public final class TraceFormat {
    private static final Pattern FIELD =
            Pattern.compile("field:([^;]*);\\s*offset:(\\d{1,6});\\s*size:(\\d{1,6});(?:\\s*signed:(\\d);)?");
    private static final Pattern ID = Pattern.compile("(?m)^ID: (\\d{1,9})$");
    private static final Pattern SYMBOL =
            Pattern.compile("\\{\\s*(-?\\d{1,9}|0x[0-9a-fA-F]{1,8})\\s*,\\s*\"([^\"]*)\"\\s*\\}");

    /** Where the length of a variable part is told. */
    enum Place {
        /** The value itself. */
        HERE,
        /** A u32: low half the offset from the record's start, high half the length. */
        DATA_LOC,
        /** The same, the offset counts from the end of this field. */
        REL_LOC
    }

    record Field(int offset, int size, boolean signed, Place place) {}

    private final int id;
    private final Map<String, Field> fields = new HashMap<>();
    private final String print;

    private TraceFormat(int id, String print) {
        this.id = id;
        this.print = print;
    }

    /** Reads a format file; null if it is none. */
    public static @Nullable TraceFormat parse(String text) {
        Matcher id = ID.matcher(text);
        if (!id.find()) {
            return null;
        }
        int print = text.indexOf("print fmt:");
        TraceFormat format = new TraceFormat(Integer.parseInt(id.group(1)), print < 0 ? "" : text.substring(print));
        Matcher field = FIELD.matcher(print < 0 ? text : text.substring(0, print));
        while (field.find()) {
            String declaration = field.group(1).strip();
            String name = declaration.replaceFirst("(\\[[^\\]]*\\])+$", "");
            name = name.substring(name.lastIndexOf(' ') + 1).replace("*", "");
            Place place = declaration.startsWith("__data_loc")
                    ? Place.DATA_LOC
                    : declaration.startsWith("__rel_loc") ? Place.REL_LOC : Place.HERE;
            format.fields.put(
                    name,
                    new Field(
                            Integer.parseInt(field.group(2)),
                            Integer.parseInt(field.group(3)),
                            "1".equals(field.group(4)),
                            place));
        }
        return format;
    }

    /** Number of the event, the first two bytes of each record. */
    public int id() {
        return id;
    }

    @Nullable
    Field field(String name) {
        return fields.get(name);
    }

    /**
     * What a number of a field stands for, as the kernel prints it with {@code __print_symbolic}; empty if it says nothing.
     *
     * @param field whose symbols they are
     */
    public String symbol(String field, long value) {
        int start = print.indexOf("__print_symbolic(REC->" + field + ",");
        if (start < 0) {
            return "";
        }
        int next = print.indexOf("__print_symbolic(", start + 1);
        Matcher symbol = SYMBOL.matcher(print.substring(start, next < 0 ? print.length() : next));
        while (symbol.find()) {
            if (Long.decode(symbol.group(1)) == value) {
                return symbol.group(2);
            }
        }
        return "";
    }
}
