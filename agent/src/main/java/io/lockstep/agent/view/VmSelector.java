package io.lockstep.agent.view;

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
        QMP
    }

    /** Digits are a pid, what has a slash is a QMP socket, anything else a name. */
    public static VmSelector parse(String text) {
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
