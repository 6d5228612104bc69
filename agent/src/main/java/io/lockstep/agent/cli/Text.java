package io.lockstep.agent.cli;

import java.util.List;
import java.util.Locale;

/** Figures and tables for people. */
final class Text {
    private Text() {}

    /** With a binary unit and three significant digits. */
    static String bytes(double bytes) {
        String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
        int unit = 0;
        double value = bytes;
        while (value >= 1024 && unit < units.length - 1) {
            value /= 1024;
            unit++;
        }
        return unit == 0 || value >= 100
                ? String.format(Locale.ROOT, "%.0f %s", value, units[unit])
                : String.format(Locale.ROOT, "%.1f %s", value, units[unit]);
    }

    /** Lines of at most so many columns, broken between words where there are any; those after the first are indented as told. */
    static String wrapped(String text, int columns, String indent) {
        String body = text.stripLeading();
        StringBuilder all = new StringBuilder();
        StringBuilder line = new StringBuilder(text.substring(0, text.length() - body.length()));
        boolean begun = false;
        for (String word : body.split(" ", -1)) {
            if (begun && line.length() + 1 + word.length() > columns) {
                all.append(line).append('\n');
                line = new StringBuilder(indent);
                begun = false;
            }
            line.append(begun ? " " : "");
            String rest = word;
            while (line.length() + rest.length() > columns) {
                int room = columns - line.length();
                all.append(line).append(rest, 0, room).append('\n');
                rest = rest.substring(room);
                line = new StringBuilder(indent);
            }
            line.append(rest);
            begun = true;
        }
        return all.append(line).append('\n').toString();
    }

    static String ms(double ms) {
        return String.format(Locale.ROOT, ms >= 100 ? "%.0f ms" : "%.1f ms", ms);
    }

    static String duration(long ms) {
        if (ms < 0) {
            return "unknown";
        }
        return ms < 100_000
                ? String.format(Locale.ROOT, "%.1f s", ms / 1000.0)
                : String.format(Locale.ROOT, "%d min", Math.round(ms / 60_000.0));
    }

    /** Columns as wide as their widest cell, two spaces apart; the first row is the heading. */
    static String table(List<List<String>> rows) {
        int[] widths = new int[rows.get(0).size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length; i++) {
                line.append(row.get(i)).append(" ".repeat(widths[i] - row.get(i).length() + 2));
            }
            text.append(line.toString().stripTrailing()).append('\n');
        }
        return text.toString();
    }
}
