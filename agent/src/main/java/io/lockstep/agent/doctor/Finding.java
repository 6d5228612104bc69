package io.lockstep.agent.doctor;

/**
 * What was found about one thing that Lockstep needs.
 *
 * @param check stable, lower case with dashes, e.g. {@code kernel-pagemap-scan}
 * @param subject the VM that it is about; empty: this host
 * @param detail what was found, with the values
 * @param cure what to do; empty if all is well
 */
public record Finding(String check, String subject, Status status, String detail, String cure) {
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

    Finding about(String vm) {
        return new Finding(check, vm, status, detail, cure);
    }
}
