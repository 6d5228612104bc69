package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.Severity;

/** Memory error types of common platform error records: UEFI 2.10, N.2.5, "Memory Error Type". Their numbers are their places here. */
public enum CperMemory {
    UNKNOWN(EventKind.MEMORY_ERROR, "memory error of an unknown type"),
    NO_ERROR(EventKind.MEMORY_ERROR, "no memory error"),
    SINGLE_BIT(EventKind.MEMORY_ERROR, "single-bit memory error"),
    MULTI_BIT(EventKind.MEMORY_ERROR, "multi-bit memory error"),
    SINGLE_SYMBOL(EventKind.MEMORY_ERROR, "error in one memory chip"),
    MULTI_SYMBOL(EventKind.MEMORY_ERROR, "error in several memory chips"),
    MASTER_ABORT(EventKind.MEMORY_ERROR, "master abort"),
    TARGET_ABORT(EventKind.MEMORY_ERROR, "target abort"),
    PARITY(EventKind.MEMORY_PARITY, "memory parity error"),
    WATCHDOG(EventKind.MEMORY_ERROR, "memory watchdog timeout"),
    INVALID_ADDRESS(EventKind.MEMORY_ERROR, "invalid memory address"),
    MIRROR_BROKEN(EventKind.MIRROR_BROKEN, "mirrored memory lost its mirror"),
    SPARING(EventKind.MEMORY_SPARE, "memory spare came into use"),
    SCRUB_CORRECTED(EventKind.MEMORY_SCRUB, "corrected patrol scrub error"),
    SCRUB_UNCORRECTED(EventKind.MEMORY_SCRUB, "uncorrected patrol scrub error"),
    MAP_OUT(EventKind.MEMORY_MAP_OUT, "memory taken out of use by the firmware");

    private final EventKind kind;
    private final String words;

    CperMemory(EventKind kind, String words) {
        this.kind = kind;
        this.words = words;
    }

    /** By its number; {@link #UNKNOWN} for one that the specification does not have. */
    public static CperMemory of(int type) {
        CperMemory[] all = values();
        return type >= 0 && type < all.length ? all[type] : UNKNOWN;
    }

    /** What sort of event it is. */
    public EventKind kind() {
        return kind;
    }

    /** A phrase that stands alone. */
    public String words() {
        return words;
    }

    /** Severity of a record's section by its number: UEFI 2.10, N.2.2. */
    public static Severity severity(int number) {
        return switch (number) {
            case 0 -> Severity.RECOVERABLE;
            case 1 -> Severity.FATAL;
            case 2 -> Severity.CORRECTED;
            default -> Severity.INFORMATIONAL;
        };
    }
}
