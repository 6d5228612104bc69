package io.lockstep.agent.view;

import java.util.Locale;

/**
 * Which VM is meant.
 *
 * @param value a process id, a name, or the path of a QMP socket
 */
public record VmSelector(Kind kind, String value) {
    /** What the value is. */
    public enum Kind {
        PID,
        NAME,
        QMP;

        String prefix() {
            return name().toLowerCase(Locale.ROOT) + ":";
        }
    }

    /** As {@link #parse} reads it back, whatever the value looks like. */
    public String text() {
        return kind.prefix() + value;
    }

    /** {@code pid:}, {@code name:} and {@code qmp:} say what follows; else digits are a pid, what has a slash is a QMP socket, anything else a name. */
    public static VmSelector parse(String text) {
        for (Kind kind : Kind.values()) {
            if (text.startsWith(kind.prefix())) {
                return new VmSelector(kind, text.substring(kind.prefix().length()));
            }
        }
        if (text.indexOf('/') >= 0) {
            return new VmSelector(Kind.QMP, text);
        }
        boolean digits = !text.isEmpty() && text.chars().allMatch(c -> c >= '0' && c <= '9');
        return new VmSelector(digits ? Kind.PID : Kind.NAME, text);
    }

    @Override
    public String toString() {
        return switch (kind) {
            case PID -> "pid " + value;
            case NAME -> "name " + value;
            case QMP -> "QMP socket " + value;
        };
    }
}
