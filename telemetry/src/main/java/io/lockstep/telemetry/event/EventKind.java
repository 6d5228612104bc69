package io.lockstep.telemetry.event;

/** What sort of thing happened. The names are stable: they are stored and shown in JSON. */
public enum EventKind {
    /** Memory gave wrong data. */
    MEMORY_ERROR(true, false),
    /** The patrol scrubber found wrong data. */
    MEMORY_SCRUB(true, false),
    /** A memory command, an address or the way of the data failed its check. */
    MEMORY_PARITY(true, false),
    /** A spare rank, bank or device came into use. */
    MEMORY_SPARE(true, false),
    /** Memory was taken out of use for good. */
    MEMORY_MAP_OUT(true, false),
    /** Mirrored memory: one copy was wrong and was repaired from the other. */
    MIRROR_SCRUBBED(true, false),
    /** Mirrored memory: the copy that is left after a failover had an error. */
    MIRROR_SECOND(true, false),
    /** Mirrored memory: one copy was given up, and the channel runs on the other alone. */
    MIRROR_FAILOVER(true, true),
    /** Mirrored memory: the firmware says that the mirror is broken. */
    MIRROR_BROKEN(true, true),
    /** Data that is known to be lost was marked or met. */
    POISON(true, true),
    /** The kernel took a page out of use, or tried to. */
    PAGE_FAILED(true, false),
    /** A log or a counter of errors is full: more are not reported. */
    LOGGING_LIMIT(true, false),
    /** A cache. */
    CACHE(false, false),
    /** A cache whose corrected errors have reached the processor's own limit (the yellow state). */
    CACHE_LIMIT(false, false),
    /** A translation buffer. */
    TLB(false, false),
    /** A bus or link between processors, or to devices. */
    BUS(false, false),
    /** The inside of a processor. */
    INTERNAL(false, false),
    /** A processor made no progress for too long. */
    TIMER(false, false),
    /** A processor grew too hot, or a thermal limit was passed. */
    THERMAL(false, false),
    /** The firmware reported an error; what it was stands elsewhere. */
    FIRMWARE(false, false),
    /** A vendor's own record. */
    VENDOR(false, false),
    /** PCI Express. */
    PCIE(false, false),
    /** A CXL memory device. */
    CXL(false, false),
    /** A redundant part failed, and nothing stands in for the next one. */
    REDUNDANCY_LOST(false, true),
    /** A redundant part failed, and others still stand in. */
    REDUNDANCY_DEGRADED(false, false),
    /** Redundancy is whole again. */
    REDUNDANCY_RESTORED(false, false),
    /** A power supply. */
    POWER_SUPPLY(false, false),
    /** A fan. */
    FAN(false, false),
    /** A network link. */
    NETWORK_LINK(false, false),
    /** QEMU had to tell its guest of lost memory. */
    GUEST_MEMORY(false, false),
    /** A guest's own kernel gave up. */
    GUEST_PANIC(false, false),
    /** None of the others; the numbers stand in the raw form. */
    UNKNOWN(false, false);

    private final boolean memory;
    private final boolean immediate;

    EventKind(boolean memory, boolean immediate) {
        this.memory = memory;
        this.immediate = immediate;
    }

    /** Whether it is about memory. */
    public boolean memory() {
        return memory;
    }

    /** Whether it alone, at whatever severity, foretells that the host will fail. */
    public boolean immediate() {
        return immediate;
    }
}
