package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.decode.Bits.set;

import io.lockstep.telemetry.event.Severity;

/**
 * How bad a machine check is, by the kernel's rules in the kernel's order ({@code arch/x86/kernel/cpu/mce/severity.c}). Where the kernel knows
 * from the stack whether the error hit itself, this takes the code segment.
 */
final class Grade {
    static final int OVER = 62;
    static final int UC = 61;
    static final int MISCV = 59;
    static final int ADDRV = 58;
    static final int PCC = 57;
    static final int S = 56;
    static final int AR = 55;
    static final int AMD_DEFERRED = 44;
    static final int AMD_POISON = 43;

    private static final int VAL = 63;
    private static final int EN = 60;
    private static final int RIPV = 0;
    private static final int EIPV = 1;
    private static final int MCIP = 2;
    private static final int SER_P = 24;

    /** Scrub codes are 00C0 to 00CF with any channel and any filter bit: mask and value of MCACOD. */
    private static final int SCRUB_MASK = 0xeff0;

    private static final int SCRUB = 0xc0;
    private static final int WRITE_BACK = 0x17a;
    private static final int DATA_LOAD = 0x134;
    private static final int INSTRUCTION_FETCH = 0x150;

    private Grade() {}

    /** Of an AMD or Hygon processor. */
    static Severity amd(MachineCheck check) {
        long status = check.status();
        if (!set(status, VAL)) {
            return Severity.INFORMATIONAL;
        }
        if (set(status, PCC)) {
            return Severity.FATAL;
        }
        if (set(status, AMD_DEFERRED)) {
            return Severity.DEFERRED;
        }
        if (set(status, UC)) {
            // In an exception that hit the kernel itself nothing can be stopped in its stead.
            boolean exception = set(check.mcgStatus(), MCIP);
            return exception && !set(check.mcgStatus(), RIPV) ? Severity.FATAL : Severity.ACTION_REQUIRED;
        }
        return Severity.CORRECTED;
    }

    /**
     * Of any other processor.
     *
     * @param scrubbed whether the model's own code says that a patrol scrub found data that it could not correct
     */
    static Severity intel(MachineCheck check, boolean scrubbed) {
        long status = check.status();
        boolean exception = set(check.mcgStatus(), MCIP);
        if (!set(status, VAL) || (exception && !set(status, EN))) {
            return Severity.INFORMATIONAL;
        }
        if (set(status, PCC)) {
            return Severity.FATAL;
        }
        if (exception && !set(check.mcgStatus(), RIPV) && !set(check.mcgStatus(), EIPV)) {
            return Severity.FATAL;
        }
        // Not known (0) counts as capable: every processor since 2010 that runs virtual machines is.
        boolean recovery = check.mcgCap() == 0 || set(check.mcgCap(), SER_P);
        if (!set(status, UC)) {
            return scrubbed ? Severity.ACTION_OPTIONAL : Severity.CORRECTED;
        }
        if (!recovery) {
            return set(status, OVER) ? Severity.FATAL : Severity.RECOVERABLE;
        }
        return recoverable(check, exception);
    }

    /**
     * Whether the kernel gives up the page at the address of what is no error of a memory controller: a cache's read of lost data, or its write-back
     * (memory_failure() in {@code arch/x86/kernel/cpu/mce/core.c}).
     */
    static boolean lostInMemory(Severity severity, int code) {
        return severity == Severity.ACTION_REQUIRED
                || (severity == Severity.ACTION_OPTIONAL && (code & 0xefff) == WRITE_BACK);
    }

    private static Severity recoverable(MachineCheck check, boolean exception) {
        long status = check.status();
        int code = (int) status & 0xffff;
        boolean required = set(status, AR);
        if (!required && ((code & SCRUB_MASK) == SCRUB || (code & 0xefff) == WRITE_BACK)) {
            return Severity.ACTION_OPTIONAL;
        }
        if (!set(status, S)) {
            // A combination that does not exist, unless the record is of several errors.
            return required && !set(status, OVER) ? Severity.FATAL : Severity.NO_ACTION;
        }
        if (!required) {
            return Severity.ACTION_OPTIONAL;
        }
        boolean known = (code & 0xefff) == DATA_LOAD || (code & 0xefff) == INSTRUCTION_FETCH;
        if (set(status, OVER) || !known || !set(status, ADDRV) || !set(status, MISCV)) {
            return Severity.FATAL;
        }
        boolean inKernel = exception && (check.cs() & 3) != 3 && !set(check.mcgStatus(), RIPV);
        return inKernel ? Severity.FATAL : Severity.ACTION_REQUIRED;
    }
}
