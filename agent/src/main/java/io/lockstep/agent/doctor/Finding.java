package io.lockstep.agent.doctor;

import io.lockstep.replication.LockstepException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What was found about one thing that Lockstep needs.
 *
 * @param check stable, lower case with dashes, e.g. {@code kernel-pagemap-scan}
 * @param subject the VM that it is about; empty: this host
 * @param detail what was found, with the values
 * @param cure what to do; empty if all is well
 */
public record Finding(String check, String subject, Status status, String detail, String cure) {
    /** "e.g. `x`" ends no sentence. */
    private static final Pattern SENTENCE_END = Pattern.compile("\\.\\s+(?=\\p{Lu})");

    /** How bad. */
    public enum Status {
        OK,
        /** Lockstep works, but worse. */
        WARNING,
        /** Lockstep cannot protect VMs, or that VM, until it is cured. */
        MISSING
    }

    static Finding ok(String check, String detail) {
        return new Finding(check, "", Status.OK, detail, "");
    }

    static Finding warning(String check, String detail, String cure) {
        return new Finding(check, "", Status.WARNING, detail, cure);
    }

    static Finding missing(String check, String detail, String cure) {
        return new Finding(check, "", Status.MISSING, detail, cure);
    }

    /** A refusal: its first sentence is the cause, the rest the cure. */
    static Finding refused(String check, LockstepException refusal) {
        String message = String.valueOf(refusal.getMessage());
        Matcher end = SENTENCE_END.matcher(message);
        return end.find()
                ? missing(
                        check,
                        message.substring(0, end.start()) + " (" + refusal.code() + ")",
                        message.substring(end.end()))
                : missing(check, refusal.code(), message);
    }

    Finding about(String vm) {
        return new Finding(check, vm, status, detail, cure);
    }
}
