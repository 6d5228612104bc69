package io.lockstep.agent.cli;

import io.lockstep.agent.client.JsonTree;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The hardware of a host in a terminal of 80 columns: sockets, channels, modules by state, then what happened and what followed. */
final class MachinePicture {
    static final int COLUMNS = 80;

    /** Two in a row, behind the name of their channel: 10 + 2 × (1 + 34) = 80. */
    private static final int MODULES_PER_ROW = 2;

    private static final int PLACE_COLUMNS = 10;
    private static final int LABEL_COLUMNS = 8;
    private static final int SIZE_COLUMNS = 5;
    private static final int STATE_COLUMNS = 9;
    private static final int COUNTS_COLUMNS = 9;

    private final StringBuilder text = new StringBuilder();
    private final boolean colours;

    private MachinePicture(boolean colours) {
        this.colours = colours;
    }

    /** All of it, from what the agent says. */
    static String of(JsonTree hardware, boolean colours) {
        MachinePicture picture = new MachinePicture(colours);
        picture.head(hardware);
        picture.modules(hardware.get("modules").elements());
        picture.parts(hardware.get("parts").elements());
        picture.policy(hardware.get("policy"));
        picture.actions(hardware.get("actions").elements());
        picture.sources(hardware.get("sources").elements());
        return picture.text.toString();
    }

    private void head(JsonTree hardware) {
        String state = hardware.get("state").text();
        text.append("this host: ").append(coloured(state, state)).append('\n');
        drill(hardware.get("drill"));
    }

    private void drill(JsonTree drill) {
        if (drill.present()) {
            line(drillWords(drill), "  ");
        }
    }

    /** Says plainly that what is shown did not happen. */
    static String drillWords(JsonTree drill) {
        return "DRILL: " + drill.get("events").integer() + " events of "
                + drill.get("name").text() + " were replayed at "
                + time(drill.get("wallMs").integer())
                + " and did not happen; 'lockstep hardware clear' ends it";
    }

    private void modules(List<JsonTree> modules) {
        Map<String, Map<String, List<JsonTree>>> sockets = new TreeMap<>();
        for (JsonTree module : modules) {
            long socket = module.get("socket").integer();
            sockets.computeIfAbsent(socket < 0 ? "memory" : "CPU" + socket, name -> new TreeMap<>())
                    .computeIfAbsent(place(module), name -> new ArrayList<>())
                    .add(module);
        }
        sockets.forEach((socket, places) -> {
            text.append(socket).append('\n');
            places.forEach(this::row);
        });
        if (!modules.isEmpty()) {
            text.append("  (errors: corrected/others)\n");
        }
    }

    private static String place(JsonTree module) {
        long controller = module.get("controller").integer();
        long channel = module.get("channel").integer();
        String name = (controller < 0 ? "" : "mc" + controller + " ") + (channel < 0 ? "" : "ch" + channel);
        return name.strip();
    }

    private void row(String place, List<JsonTree> modules) {
        for (int i = 0; i < modules.size(); i++) {
            boolean first = i % MODULES_PER_ROW == 0;
            if (first) {
                text.append(cell(i == 0 ? "  " + place : "", PLACE_COLUMNS));
            }
            boolean last = i == modules.size() - 1 || i % MODULES_PER_ROW == MODULES_PER_ROW - 1;
            text.append(" ").append(module(modules.get(i), last));
            if (last) {
                text.append('\n');
            }
        }
    }

    /** Label, size, state, and the errors that it had: {@code A2       32G   failing   7/1}. */
    private String module(JsonTree module, boolean last) {
        String label = module.get("label").text();
        long slot = module.get("slot").integer();
        String name = cell(label.isEmpty() ? slot < 0 ? "module" : "slot " + slot : label, LABEL_COLUMNS);
        String size = cell(size(module.get("bytes").integer()), SIZE_COLUMNS);
        String state = module.get("state").text();
        String counts = counts(module);
        String all = name + " " + size + " ";
        if (last && counts.isEmpty()) {
            return all + coloured(state, state);
        }
        return all + coloured(state, cell(state, STATE_COLUMNS)) + " " + (last ? counts : cell(counts, COUNTS_COLUMNS));
    }

    private static String size(long bytes) {
        if (bytes == 0) {
            return "";
        }
        return bytes % (1L << 30) == 0 ? (bytes >> 30) + "G" : (bytes >> 20) + "M";
    }

    private static String counts(JsonTree module) {
        long corrected = module.get("corrected").integer();
        long uncorrected = module.get("uncorrected").integer();
        return corrected + uncorrected == 0 ? "" : brief(corrected) + "/" + brief(uncorrected);
    }

    /** At most four characters. */
    private static String brief(long count) {
        if (count < 1_000) {
            return Long.toString(count);
        }
        return count < 1_000_000 ? count / 1_000 + "k" : Math.min(999, count / 1_000_000) + "M";
    }

    private void parts(List<JsonTree> parts) {
        for (JsonTree part : parts) {
            String state = part.get("state").text();
            long others = part.get("uncorrected").integer();
            String line = state + " since " + time(part.get("sinceMs").integer()) + ": "
                    + part.get("component").text() + ": "
                    + part.get("corrected").integer() + " corrected, " + others
                    + " other errors";
            String wrapped = Text.wrapped(line, COLUMNS, "    ");
            text.append(coloured(state, state)).append(wrapped.substring(state.length()));
            for (JsonTree evidence : part.get("evidence").elements()) {
                line("    " + evidence.text(), "      ");
            }
            if (!part.get("action").text().isEmpty()) {
                line("    to do: " + part.get("action").text(), "      ");
            }
        }
    }

    private void policy(JsonTree policy) {
        line(
                "policy: from " + policy.get("switchoverState").text() + " on: switchover "
                        + policy.get("switchover").text() + ", refuseNew "
                        + policy.get("refuseNew").text() + "; offlinePages "
                        + policy.get("offlinePages").text() + ", offlineCpus "
                        + policy.get("offlineCpus").text() + ", runCommand "
                        + policy.get("runCommand").text(),
                "    ");
    }

    private void actions(List<JsonTree> actions) {
        for (JsonTree action : actions) {
            line("  " + actionWords(action), "      ");
        }
    }

    /** On one line. */
    static String actionWords(JsonTree action) {
        return time(action.get("wallMs").integer()) + " " + action.get("action").text() + " "
                + action.get("outcome").text() + ": " + action.get("text").text();
    }

    private void sources(List<JsonTree> sources) {
        text.append("sources:\n");
        for (JsonTree source : sources) {
            String cure = source.get("cure").text();
            long lost = source.get("lost").integer();
            line(
                    "  " + source.get("name").text() + " "
                            + source.get("status").text() + ", "
                            + source.get("events").integer() + " events" + (lost == 0 ? "" : ", " + lost + " lost")
                            + ": " + source.get("detail").text() + (cure.isEmpty() ? "" : ". Cure: " + cure),
                    "      ");
        }
    }

    static String time(long wallMs) {
        return Instant.ofEpochMilli(wallMs).toString();
    }

    private void line(String line, String indent) {
        text.append(Text.wrapped(line, COLUMNS, indent));
    }

    private static String cell(String content, int width) {
        return String.format(Locale.ROOT, "%-" + width + "." + width + "s", content);
    }

    private String coloured(String state, String shown) {
        int colour =
                switch (state) {
                    case "healthy" -> 32;
                    case "watch" -> 36;
                    case "degrading" -> 33;
                    default -> 31;
                };
        return colours ? "\u001b[" + colour + "m" + shown + "\u001b[0m" : shown;
    }
}
