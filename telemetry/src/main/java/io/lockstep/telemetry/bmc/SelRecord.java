package io.lockstep.telemetry.bmc;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A record of the system event log: IPMI 2.0, 32.1 and tables 42-2 and 42-3.
 *
 * <pre>
 * 0 u16 number   2 u8 type 02   3 u32 seconds   7 u16 generator   9 u8 form 04   10 u8 sensor type   11 u8 sensor
 * 12 u8 bit 7: gone, 6:0 event type   13 u8 3:0 offset, 5:4 what byte 15 holds   14 u8 data   15 u8 data
 * </pre>
 */
final class SelRecord {
    static final int BYTES = 16;

    private static final int SYSTEM_EVENT = 2;
    private static final int SPECIFIC = 0x6f;
    private static final int THRESHOLD = 1;
    private static final int REDUNDANCY = 0x0b;
    private static final int TEMPERATURE = 0x01;
    private static final int VOLTAGE = 0x02;
    private static final int FAN = 0x04;
    private static final int PROCESSOR = 0x07;
    private static final int POWER_SUPPLY = 0x08;
    private static final int MEMORY = 0x0c;
    private static final int INTERRUPT = 0x13;

    /** Times below are seconds since the controller started: its clock was not set. */
    private static final long SECONDS_SET_MIN = 0x2000_0000L;

    private static final long SECONDS_NONE = 0xffff_ffffL;

    private final byte[] bytes;
    private final ByteBuffer in;

    /** What an offset means. */
    private record Meaning(EventKind kind, Severity severity, String words) {
        static Meaning of(EventKind kind, Severity severity, String words) {
            return new Meaning(kind, severity, words);
        }

        static Meaning notice(EventKind kind, String words) {
            return new Meaning(kind, Severity.INFORMATIONAL, words);
        }
    }

    /** @param bytes exactly {@link #BYTES} */
    SelRecord(byte[] bytes) {
        if (bytes.length != BYTES) {
            throw new IllegalArgumentException(bytes.length + " bytes != " + BYTES);
        }
        this.bytes = bytes.clone();
        in = ByteBuffer.wrap(this.bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Its number in the log; numbers come back when the log is cleared. */
    int number() {
        return in.getShort(0) & 0xffff;
    }

    /** Its own time, milliseconds since 1970; -1 if the controller's clock was not set. */
    long wallMs() {
        long seconds = in.getInt(3) & 0xffff_ffffL;
        return seconds < SECONDS_SET_MIN || seconds == SECONDS_NONE ? -1 : seconds * 1000;
    }

    /** In hexadecimal. */
    String hex() {
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) {
            text.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
        }
        return text.toString();
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof SelRecord record && Arrays.equals(bytes, record.bytes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes);
    }

    /**
     * What it tells of hardware; null if nothing.
     *
     * @param readMs when it was read, for records without a time
     */
    @Nullable
    HardwareEvent event(String source, long readMs) {
        Meaning meaning = (bytes[2] & 0xff) == SYSTEM_EVENT ? meaning() : null;
        return meaning == null
                ? null
                : new HardwareEvent(
                        wallMs() < 0 ? readMs : wallMs(),
                        meaning.kind,
                        meaning.severity,
                        component(),
                        HardwareEvent.NO_ADDRESS,
                        1,
                        source,
                        meaning.words,
                        new Raw.Text("sel " + hex()));
    }

    private @Nullable Meaning meaning() {
        int sensor = bytes[10] & 0xff;
        int type = bytes[12] & 0x7f;
        int offset = bytes[13] & 0x0f;
        boolean gone = bytes[12] < 0;
        if (type == REDUNDANCY) {
            return redundancy(offset, gone);
        }
        if (gone) {
            // That an error is over takes nothing back.
            return null;
        }
        if (type == THRESHOLD) {
            return threshold(sensor, offset);
        }
        return type != SPECIFIC
                ? null
                : switch (sensor) {
                    case MEMORY -> memory(offset);
                    case POWER_SUPPLY -> powerSupply(offset);
                    case PROCESSOR -> processor(offset);
                    case INTERRUPT -> interrupt(offset);
                    default -> null;
                };
    }

    private static @Nullable Meaning redundancy(int offset, boolean gone) {
        if (gone) {
            return offset == 1 ? Meaning.notice(EventKind.REDUNDANCY_RESTORED, "redundancy is no longer lost") : null;
        }
        return switch (offset) {
            case 0 -> Meaning.notice(EventKind.REDUNDANCY_RESTORED, "redundancy is whole");
            case 1 -> Meaning.notice(EventKind.REDUNDANCY_LOST, "redundancy lost");
            case 2, 6, 7 -> Meaning.notice(EventKind.REDUNDANCY_DEGRADED, "redundancy degraded");
            case 3, 4 -> Meaning.notice(EventKind.REDUNDANCY_LOST, "no redundancy, but enough to go on");
            case 5 -> Meaning.notice(EventKind.REDUNDANCY_LOST, "no redundancy, and not enough to go on");
            default -> null;
        };
    }

    private static @Nullable Meaning memory(int offset) {
        return switch (offset) {
            case 0 -> Meaning.of(EventKind.MEMORY_ERROR, Severity.CORRECTED, "memory error that was corrected");
            case 1 ->
                Meaning.of(EventKind.MEMORY_ERROR, Severity.RECOVERABLE, "memory error that could not be corrected");
            case 2 -> Meaning.of(EventKind.MEMORY_PARITY, Severity.RECOVERABLE, "memory parity error");
            case 3 -> Meaning.of(EventKind.MEMORY_SCRUB, Severity.RECOVERABLE, "scrub failed: memory may be stuck");
            case 4 -> Meaning.notice(EventKind.MEMORY_MAP_OUT, "memory module disabled");
            case 5 ->
                Meaning.notice(EventKind.LOGGING_LIMIT, "so many corrected memory errors that no more are logged");
            case 8 -> Meaning.notice(EventKind.MEMORY_SPARE, "memory spare came into use");
            case 9, 10 -> Meaning.notice(EventKind.THERMAL, "memory too hot");
            default -> null;
        };
    }

    private static @Nullable Meaning powerSupply(int offset) {
        return switch (offset) {
            case 1 -> Meaning.notice(EventKind.POWER_SUPPLY, "power supply failed");
            case 2 -> Meaning.notice(EventKind.POWER_SUPPLY, "power supply foretells its failure");
            case 3, 4 -> Meaning.notice(EventKind.POWER_SUPPLY, "power supply has no input");
            case 5 -> Meaning.notice(EventKind.POWER_SUPPLY, "input of the power supply is out of range");
            case 6 -> Meaning.notice(EventKind.POWER_SUPPLY, "power supply of the wrong kind");
            default -> null;
        };
    }

    private static @Nullable Meaning processor(int offset) {
        return switch (offset) {
            case 0 -> Meaning.of(EventKind.INTERNAL, Severity.FATAL, "internal error of the processor (IERR)");
            case 1 -> Meaning.notice(EventKind.THERMAL, "processor shut down by its thermal limit");
            case 11 -> Meaning.of(EventKind.INTERNAL, Severity.RECOVERABLE, "uncorrected machine check");
            case 12 -> Meaning.of(EventKind.INTERNAL, Severity.CORRECTED, "corrected machine check");
            default -> null;
        };
    }

    private static @Nullable Meaning interrupt(int offset) {
        return switch (offset) {
            case 4 -> Meaning.of(EventKind.PCIE, Severity.RECOVERABLE, "PCI parity error");
            case 5 -> Meaning.of(EventKind.PCIE, Severity.RECOVERABLE, "PCI system error");
            case 7 -> Meaning.of(EventKind.BUS, Severity.CORRECTED, "corrected bus error");
            case 8 -> Meaning.of(EventKind.BUS, Severity.RECOVERABLE, "uncorrected bus error");
            case 10 -> Meaning.of(EventKind.BUS, Severity.FATAL, "fatal bus error");
            default -> null;
        };
    }

    /** Offsets 2, 4, 9 and 11 are critical and worse; the others call for nothing yet. */
    private static @Nullable Meaning threshold(int sensor, int offset) {
        boolean low = offset == 2 || offset == 4;
        boolean high = offset == 9 || offset == 11;
        if (!low && !high) {
            return null;
        }
        return switch (sensor) {
            case TEMPERATURE -> high ? Meaning.notice(EventKind.THERMAL, "temperature above its critical limit") : null;
            case FAN -> low ? Meaning.notice(EventKind.FAN, "fan below its critical limit") : null;
            case VOLTAGE ->
                Meaning.notice(EventKind.POWER_SUPPLY, "voltage " + (low ? "below" : "above") + " its critical limit");
            default -> null;
        };
    }

    private Component component() {
        int number = bytes[11] & 0xff;
        String sensor = "sensor " + number;
        // Byte 15 names the module only if bits 5:4 of byte 13 say that it holds what the sensor type defines.
        boolean module = (bytes[13] >> 4 & 3) == 3 && (bytes[15] & 0xff) != 0xff;
        return switch (bytes[10] & 0xff) {
            case MEMORY ->
                Component.Memory.ANYWHERE.labelled("BMC " + sensor + (module ? " module " + (bytes[15] & 0xff) : ""));
            case POWER_SUPPLY -> new Component.Host("power supply of BMC " + sensor);
            case PROCESSOR -> new Component.Host("processor of BMC " + sensor);
            default -> new Component.Sensor("BMC", Integer.toString(number));
        };
    }
}
