package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One option of a QEMU command line. QEMU reads {@code -name} and {@code --name} as the same; an argument without a dash is a disk.
 *
 * @param name without dashes, e.g. {@code machine}; empty for a disk image given by its name alone
 * @param value its argument; null for an option that takes none
 */
public record QemuOption(String name, @Nullable String value) {
    /** Options without an argument, as {@code qemu-options.hx} of 7.2 to 10.2 lists them for x86. */
    private static final Set<String> FLAGS = Set.of(
            "h",
            "help",
            "version",
            "S",
            "s",
            "daemonize",
            "snapshot",
            "nographic",
            "no-reboot",
            "no-shutdown",
            "no-acpi",
            "no-hpet",
            "no-fd-bootchk",
            "enable-kvm",
            "nodefaults",
            "no-user-config",
            "nouserconfig",
            "mem-prealloc",
            "preconfig",
            "singlestep",
            "one-insn-per-tb",
            "win2k-hack",
            "old-param",
            "semihosting",
            "usb",
            "curses",
            "alt-grab",
            "ctrl-grab",
            "no-quit",
            "portrait",
            "only-migratable",
            "enable-fips",
            "enable-sync-profile",
            "xen-attach",
            "xen-domid-restrict",
            "full-screen",
            "sdl",
            "gtk");

    private static final ObjectMapper JSON = new ObjectMapper();

    /** Reads a command line, its first argument (the program) left out. */
    public static List<QemuOption> parse(List<String> arguments) {
        List<QemuOption> options = new ArrayList<>();
        for (int i = 1; i < arguments.size(); i++) {
            String argument = arguments.get(i);
            if (!argument.startsWith("-") || argument.equals("-")) {
                options.add(new QemuOption("", argument));
                continue;
            }
            String name = argument.substring(argument.startsWith("--") ? 2 : 1);
            boolean hasValue = !FLAGS.contains(name) && i + 1 < arguments.size();
            options.add(new QemuOption(name, hasValue ? arguments.get(++i) : null));
        }
        return options;
    }

    /** The arguments that make this option, one or two. */
    public List<String> arguments() {
        if (name.isEmpty()) {
            return List.of(text());
        }
        return value == null ? List.of("-" + name) : List.of("-" + name, value);
    }

    /** The value, or nothing. */
    public String text() {
        return value == null ? "" : value;
    }

    /** The value with another text in its place. */
    public QemuOption with(String newValue) {
        return new QemuOption(name, newValue);
    }

    /**
     * The value's parts by key, in order, from {@code a=1,b=2} (a comma inside is doubled) or from JSON.
     *
     * @param firstKey name of a first part without {@code =}, e.g. {@code qom-type} for {@code -object}
     */
    public Map<String, String> parts(String firstKey) {
        Map<String, String> parts = new LinkedHashMap<>();
        if (isJson()) {
            try {
                JsonNode node = JSON.readTree(text());
                node.properties()
                        .forEach(p -> parts.put(p.getKey(), p.getValue().asText()));
            } catch (JsonProcessingException e) {
                parts.clear();
            }
            return parts;
        }
        boolean first = true;
        for (String part : split(text())) {
            int equals = part.indexOf('=');
            if (equals >= 0) {
                parts.put(part.substring(0, equals), part.substring(equals + 1));
            } else if (first) {
                parts.put(firstKey, part);
            } else if (part.startsWith("no") && part.length() > 2) {
                // The short form of a switched-off part, e.g. "nowait".
                parts.put(part.substring(2), "off");
            } else if (!part.isEmpty()) {
                parts.put(part, "on");
            }
            first = false;
        }
        return parts;
    }

    /** Whether the value is a JSON object, as {@code -object}, {@code -device}, {@code -netdev} and {@code -blockdev} allow. */
    public boolean isJson() {
        return text().startsWith("{");
    }

    /** The parts as one value again; the first key is written without its name. */
    public static String join(String firstKey, Map<String, String> parts) {
        StringBuilder text = new StringBuilder();
        parts.forEach((key, value) -> {
            text.append(text.isEmpty() ? "" : ",");
            if (!key.equals(firstKey)) {
                text.append(key).append('=');
            }
            text.append(value.replace(",", ",,"));
        });
        return text.toString();
    }

    /** Splits at single commas; a doubled one stands for itself. */
    private static List<String> split(String text) {
        List<String> parts = new ArrayList<>();
        StringBuilder part = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != ',') {
                part.append(c);
            } else if (i + 1 < text.length() && text.charAt(i + 1) == ',') {
                part.append(',');
                i++;
            } else {
                parts.add(part.toString());
                part.setLength(0);
            }
        }
        parts.add(part.toString());
        return parts;
    }
}
