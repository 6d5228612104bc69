package io.lockstep.telemetry.event;

/**
 * Something that happened to the host's hardware. Immutable.
 *
 * @param wallMs when, in milliseconds since 1970, UTC
 * @param severity how bad
 * @param component where
 * @param address physical address in bytes that was involved, {@link #NO_ADDRESS} if none is known
 * @param count how many times it happened since the source last said so, at least 1
 * @param source who saw it, e.g. {@code edac}, {@code mce}
 * @param what one plain English phrase in lower case and without a full stop, e.g. {@code memory read error}
 */
public record HardwareEvent(
        long wallMs, Severity severity, Component component, long address, long count, String source, String what) {
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

    /** One line for a person, e.g. {@code corrected error on DIMM DIMM_A1 (socket 0) at address 0x1000, 3 times: memory read error (edac)}. */
    public String line() {
        StringBuilder line = new StringBuilder();
        line.append(severity.words()).append(" on ").append(component.words());
        if (address != NO_ADDRESS) {
            line.append(" at address 0x").append(Long.toHexString(address));
        }
        if (count > 1) {
            line.append(", ").append(count).append(" times");
        }
        return line.append(": ")
                .append(what)
                .append(" (")
                .append(source)
                .append(')')
                .toString();
    }
}
