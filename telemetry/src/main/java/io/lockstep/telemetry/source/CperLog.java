package io.lockstep.telemetry.source;

import io.lockstep.telemetry.decode.CperMemory;
import io.lockstep.telemetry.decode.MemoryLocation;
import io.lockstep.telemetry.decode.PcieErrors;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Puts the firmware's error records together again, which the kernel writes into its log line by line ({@code drivers/firmware/efi/cper.c},
 * {@code drivers/acpi/apei/ghes.c}). That a mirror broke, or a spare came into use, stands there alone. For one thread; any text is allowed.
 */
public final class CperLog {
    /** Records whose lines come mixed, at most; each CPU writes one at a time. */
    private static final int OPEN_MAX = 64;

    /** A record without a new line for so long is whole: its lines are written in one go. */
    private static final long QUIET_MS = 50;

    private static final Pattern LINE = Pattern.compile("(?:\\{(\\d{1,9})\\})?\\[Hardware Error\\]: *(.*)");
    private static final Pattern NUMBER = Pattern.compile("\\D*(\\d{1,9}).*");

    private final Map<String, Section> open = new LinkedHashMap<>();
    private long number;
    private long doneUpTo;

    private static final class Section {
        Severity severity = Severity.CORRECTED;
        EventKind kind = EventKind.FIRMWARE;
        String what = "error reported by the firmware";
        String fru = "";
        String label = "";
        String device = "";
        Component.Memory memory = Component.Memory.ANYWHERE;
        long address = HardwareEvent.NO_ADDRESS;
        /** Of its head, or of its own if that is another record's, too. */
        long firstLine;

        boolean begun;
        long lastMs;
        final StringBuilder raw = new StringBuilder();

        Section(long firstLine) {
            this.firstLine = firstLine;
        }
    }

    /**
     * Takes a line of the log.
     *
     * @param text without time and priority
     * @param wallMs its time, milliseconds since 1970
     * @return whether it belongs to an error record
     */
    public boolean line(String text, long wallMs, Consumer<HardwareEvent> sink) {
        return line(number + 1, text, wallMs, sink);
    }

    /**
     * As {@link #line(String, long, Consumer)}.
     *
     * @param lineNumber of the line; rises
     */
    boolean line(long lineNumber, String text, long wallMs, Consumer<HardwareEvent> sink) {
        // A line ends records, but is part of none of those.
        doneUpTo = number;
        number = lineNumber;
        Matcher match = LINE.matcher(text);
        if (!match.lookingAt() || (match.group(1) == null && !begins(match.group(2)))) {
            return false;
        }
        String sequence = match.group(1) == null ? "" : match.group(1);
        String body = match.group(2).strip();
        if (body.startsWith("Hardware error from APEI")) {
            end(sequence, sink);
            return true;
        }
        if (body.startsWith("Error ") && body.contains(", type: ")) {
            Section before = open.get(sequence);
            Severity severity = before == null ? Severity.CORRECTED : before.severity;
            end(sequence, sink);
            Section section = section(sequence, sink);
            section.firstLine = before == null || before.begun ? number : before.firstLine;
            section.begun = true;
            section.severity = severity(body.substring(body.indexOf(", type: ") + 8), severity);
            section.lastMs = wallMs;
            return true;
        }
        Section section = section(sequence, sink);
        section.lastMs = wallMs;
        if (section.raw.length() + body.length() < Raw.CHARS_MAX) {
            section.raw.append(section.raw.isEmpty() ? "" : "; ").append(body);
        }
        field(section, body);
        return true;
    }

    /** Records of an earlier life, which the boot error record table holds, have no number ({@code drivers/acpi/apei/bert.c}). */
    private boolean begins(String body) {
        return open.containsKey("") || body.strip().startsWith("event severity:");
    }

    /** Up to which line all is in the records that were handed on, with the one that is being handed on. */
    long doneUpTo() {
        long done = doneUpTo;
        for (Section section : open.values()) {
            done = Math.min(done, section.firstLine - 1);
        }
        return done;
    }

    /** Hands on the records that have had no new line for some time. */
    public void quiet(long wallMs, Consumer<HardwareEvent> sink) {
        doneUpTo = number;
        for (Iterator<Section> sections = open.values().iterator(); sections.hasNext(); ) {
            Section section = sections.next();
            if (wallMs - section.lastMs >= QUIET_MS) {
                sections.remove();
                hand(section, sink);
            }
        }
    }

    /** Hands on everything: no more lines will come. */
    public void end(Consumer<HardwareEvent> sink) {
        doneUpTo = number;
        open.values().forEach(section -> hand(section, sink));
        open.clear();
    }

    private Section section(String sequence, Consumer<HardwareEvent> sink) {
        if (open.size() >= OPEN_MAX && !open.containsKey(sequence)) {
            end(open.keySet().iterator().next(), sink);
        }
        return open.computeIfAbsent(sequence, s -> new Section(number));
    }

    private void end(String sequence, Consumer<HardwareEvent> sink) {
        Section section = open.remove(sequence);
        if (section != null) {
            hand(section, sink);
        }
    }

    private static void field(Section section, String body) {
        int colon = body.indexOf(':');
        String name = colon < 0 ? "" : body.substring(0, colon).strip();
        String value = colon < 0 ? "" : body.substring(colon + 1).strip();
        switch (name) {
            case "event severity" -> section.severity = severity(value, section.severity);
            case "fru_text" -> section.fru = value;
            // With a space where the kernel does not know the section.
            case "section_type", "section type" -> type(section, value);
            case "physical_address" -> {
                long address = Sysfs.parse(value, HardwareEvent.NO_ADDRESS);
                section.address = address < 0 ? HardwareEvent.NO_ADDRESS : address;
            }
            case "error_type" -> {
                Matcher number = NUMBER.matcher(value);
                if (section.kind.memory() && number.matches()) {
                    CperMemory memory = CperMemory.of(Integer.parseInt(number.group(1)));
                    section.kind = memory.kind();
                    section.what = memory.words();
                }
            }
            case "device_id" -> section.device = value;
            case "DIMM location" -> section.label = value.startsWith("not present") ? "" : value;
            default -> {
                if (body.matches(
                        "(node|card|module|rank|bank|device|row):\\d+ .*|(node|card|module|rank|bank|row):\\d+")) {
                    section.memory = MemoryLocation.ofCper(body);
                }
            }
        }
    }

    private static void type(Section section, String value) {
        if (value.startsWith("memory error")) {
            section.kind = EventKind.MEMORY_ERROR;
            section.what = CperMemory.UNKNOWN.words();
        } else if (value.startsWith("PCIe error")) {
            section.kind = EventKind.PCIE;
            section.what = "PCIe error reported by the firmware";
        } else if (value.contains("processor error")) {
            section.kind = EventKind.INTERNAL;
            section.what = "processor error reported by the firmware";
        } else if (value.startsWith("CXL")) {
            section.kind = EventKind.CXL;
            section.what = "CXL error reported by the firmware";
        } else if (value.startsWith("unknown")) {
            section.kind = EventKind.VENDOR;
            section.what = "record in the vendor's own form";
        }
    }

    private static Severity severity(String word, Severity otherwise) {
        return switch (word.strip()) {
            case "corrected" -> Severity.CORRECTED;
            case "recoverable" -> Severity.RECOVERABLE;
            case "fatal" -> Severity.FATAL;
            case "info" -> Severity.INFORMATIONAL;
            default -> otherwise;
        };
    }

    private static void hand(Section section, Consumer<HardwareEvent> sink) {
        if (!section.begun) {
            // The head of a record, which says nothing yet.
            return;
        }
        Component component;
        if (section.kind.memory()) {
            String name = section.label.isEmpty() ? section.fru : section.label;
            component = section.memory.labelled(MemoryLocation.label(name));
        } else if (section.kind == EventKind.PCIE && !section.device.isEmpty()) {
            component = PcieErrors.device(section.device);
        } else if (section.kind == EventKind.INTERNAL) {
            component = new Component.Cpu(Component.UNKNOWN, Component.UNKNOWN, Component.UNKNOWN);
        } else {
            component = new Component.Host(section.fru);
        }
        sink.accept(new HardwareEvent(
                section.lastMs,
                section.kind,
                section.severity,
                component,
                section.address,
                1,
                "ghes",
                section.what,
                new Raw.Text(section.raw.toString())));
    }
}
