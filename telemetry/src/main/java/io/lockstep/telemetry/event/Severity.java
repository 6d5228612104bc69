package io.lockstep.telemetry.event;

/**
 * How bad an event is, mildest first. The classes are those by which the kernel grades machine checks ({@code arch/x86/kernel/cpu/mce/severity.c},
 * Intel SDM volume 3B, 16.6.3), and RECOVERABLE, which firmware and the PCIe bus say without more (UEFI 2.10, N.2.1). The codes are stable: they
 * are exported as a metric and stored.
 */
public enum Severity {
    /** Nothing is wrong, but somebody may want to know: a spare rank came into use, a limit was reached. */
    INFORMATIONAL(0, "notice"),
    /** The hardware repaired it; nothing was lost. */
    CORRECTED(1, "corrected error"),
    /** UCNA: data is lost, nobody used it, and software need not act. */
    NO_ACTION(2, "uncorrected error, not used yet"),
    /** AMD: data is lost and marked so, and nobody has read it yet. */
    DEFERRED(3, "deferred error"),
    /** Data is lost; the host goes on, and nothing more is known. */
    RECOVERABLE(4, "uncorrected error"),
    /** SRAO: data is lost, nobody read it yet, and software may take the memory out of use. */
    ACTION_OPTIONAL(5, "uncorrected error, action optional"),
    /** SRAR: somebody read lost data and must be stopped. */
    ACTION_REQUIRED(6, "uncorrected error, action required"),
    /** The host cannot go on. */
    FATAL(7, "fatal error");

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

    /** Whether data was lost. */
    public boolean uncorrected() {
        return code >= NO_ACTION.code;
    }
}
