package io.lockstep.telemetry.event;

/**
 * How bad an event is, mildest first. The words are those of the UEFI specification's error records (version 2.10, N.2.1), and DEFERRED, which
 * machine checks add (AMD64 Architecture Programmer's Manual, volume 2, 9.3). The codes are stable: they are exported as a metric.
 */
public enum Severity {
    /** Nothing is wrong, but somebody may want to know: a spare rank came into use, a limit was reached. */
    INFORMATIONAL(0, "notice"),
    /** The hardware repaired it; nothing was lost. */
    CORRECTED(1, "corrected error"),
    /** Data is lost and marked so, and nobody has read it yet. */
    DEFERRED(2, "deferred error"),
    /** Data is lost; who used it can be stopped, and the host goes on. */
    RECOVERABLE(3, "uncorrected error"),
    /** The host cannot go on. */
    FATAL(4, "fatal error");

    private final int code;
    private final String words;

    Severity(int code, String words) {
        this.code = code;
        this.words = words;
    }

    /** The stable code. */
    public int code() {
        return code;
    }

    /** As it stands in a sentence, e.g. {@code corrected error}. */
    public String words() {
        return words;
    }
}
