package io.lockstep.telemetry.event;

/**
 * Something that happened to the host's hardware. Immutable.
 *
 * @param wallMs when, in milliseconds since 1970, UTC
 * @param kind what sort of thing
 * @param severity how bad
 * @param component where
 * @param address physical address in bytes that was involved, {@link #NO_ADDRESS} if none is known
 * @param count how many times it happened since the source last said so, at least 1
 * @param source who saw it, e.g. {@code edac}, {@code mce}
 * @param what one plain English phrase in lower case and without a full stop, e.g. {@code memory read error}
 * @param raw what the source saw
 */
public record HardwareEvent(
        long wallMs,
        EventKind kind,
        Severity severity,
        Component component,
        long address,
        long count,
        String source,
        String what,
        Raw raw) {
    /** Value of an address that is not known. */
    public static final long NO_ADDRESS = -1;

    public HardwareEvent {
        if (count < 1) {
            throw new IllegalArgumentException("count " + count + " < 1");
        }
        if (address < NO_ADDRESS) {
            throw new IllegalArgumentException("address " + address + " < " + NO_ADDRESS);
        }
    }

    /** The same, of another piece of hardware. */
    public HardwareEvent on(Component other) {
        return new HardwareEvent(wallMs, kind, severity, other, address, count, source, what, raw);
    }

    /** The same, so many times. */
    public HardwareEvent times(long times) {
        return new HardwareEvent(wallMs, kind, severity, component, address, times, source, what, raw);
    }

    /** The same at another address. */
    public HardwareEvent near(long other) {
        return new HardwareEvent(wallMs, kind, severity, component, other, count, source, what, raw);
    }

    /** The same at another time. */
    public HardwareEvent at(long otherMs) {
        return new HardwareEvent(otherMs, kind, severity, component, address, count, source, what, raw);
    }

    /** The same in another phrase. */
    public HardwareEvent saying(String other) {
        return new HardwareEvent(wallMs, kind, severity, component, address, count, source, other, raw);
    }

    /** The same, with another form of what the source saw. */
    public HardwareEvent seenAs(Raw other) {
        return new HardwareEvent(wallMs, kind, severity, component, address, count, source, what, other);
    }

    /**
     * Whether it alone foretells that the host will fail: lost data, a mirror or other redundancy that is gone. A switchover that is
     * cheap should not wait for a second one.
     */
    public boolean immediate() {
        return kind.immediate() || severity.uncorrected();
    }

    /** One line for a person, e.g. {@code corrected error on DIMM CPU0 channel 1 (A1) at address 0x1000, 3 times: memory read error (edac)}. */
    public String line() {
        StringBuilder line = new StringBuilder();
        line.append(severity.words()).append(" on ").append(component.words());
        if (address != NO_ADDRESS) {
            line.append(" at address 0x").append(Long.toHexString(address));
        }
        if (count > 1) {
            line.append(", ").append(count).append(" times");
        }
        line.append(": ").append(what).append(" (").append(source);
        if (kind == EventKind.UNKNOWN && !raw.words().isEmpty()) {
            // What cannot be named is said in numbers.
            line.append(": ").append(raw.words());
        }
        return line.append(')').toString();
    }
}
