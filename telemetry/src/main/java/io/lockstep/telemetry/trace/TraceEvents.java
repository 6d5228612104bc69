package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.decode.CperMemory;
import io.lockstep.telemetry.decode.MachineCheck;
import io.lockstep.telemetry.decode.MachineCheckDecoder;
import io.lockstep.telemetry.decode.MemoryLocation;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What the kernel's tracepoints say: {@code include/trace/events/mce.h}, {@code include/ras/ras_event.h}, {@code drivers/cxl/core/trace.h}. */
final class TraceEvents {
    private static final int PAGE_SHIFT = 12;

    /** How far a machine check's own time, in whole seconds, may be from the tracepoint's before it counts as a record of the past. */
    private static final long WALL_MS_MAX = 2000;

    private static final int THERMAL_ACTIVE = 0;
    private static final int THERMAL_CRITICAL = 3;

    private TraceEvents() {}

    /** As {@link TraceDecoder}. */
    static @Nullable HardwareEvent decode(String event, TraceRecord record, long wallMs) {
        String name = event.substring(event.indexOf('/') + 1);
        return switch (name) {
            case "mce_record" -> MachineCheckDecoder.decode(machineCheck(record, wallMs));
            case "mc_event" -> memoryController(record, wallMs);
            case "extlog_mem_event" -> extendedLog(record, wallMs);
            case "aer_event" -> AerEvents.decode(record, wallMs);
            case "memory_failure_event" -> memoryFailure(record, wallMs);
            case "arm_event" -> arm(record, wallMs);
            case "non_standard_event" -> vendor(record, wallMs);
            case "thermal_zone_trip" -> thermal(record, wallMs);
            default -> name.startsWith("cxl_") ? CxlEvents.decode(name, record, wallMs) : null;
        };
    }

    private static MachineCheck machineCheck(TraceRecord record, long wallMs) {
        long ownMs = record.number("walltime") * 1000;
        boolean now = ownMs == 0 || Math.abs(ownMs - wallMs) <= WALL_MS_MAX;
        return new MachineCheck(
                now ? wallMs : ownMs,
                (int) record.number("cpuvendor"),
                (int) record.number("cpuid"),
                (int) record.number("socketid"),
                (int) record.number("cpu"),
                (int) record.number("bank"),
                (int) record.number("cs"),
                record.number("mcgcap"),
                record.number("mcgstatus"),
                record.number("status"),
                record.number("addr"),
                record.number("misc"),
                record.number("synd"),
                record.number("ipid"),
                record.number("ip"),
                record.number("ppin"));
    }

    private static HardwareEvent memoryController(TraceRecord record, long wallMs) {
        Severity severity =
                switch ((int) record.number("error_type")) {
                    case 0 -> Severity.CORRECTED;
                    case 2 -> Severity.DEFERRED;
                    case 3 -> Severity.FATAL;
                    case 4 -> Severity.INFORMATIONAL;
                    default -> Severity.RECOVERABLE;
                };
        String detail = record.text("driver_detail");
        String what = record.text("msg").toLowerCase(Locale.ROOT);
        Component.Memory memory = MemoryLocation.ofDetail(detail)
                .filledFrom(MemoryLocation.ofLabel(record.text("label"), number(record, "mc_index")));
        EventKind kind = what.contains("scrub") ? EventKind.MEMORY_SCRUB : EventKind.MEMORY_ERROR;
        return new HardwareEvent(
                wallMs,
                kind,
                severity,
                memory,
                address(record.number("address")),
                Math.max(1, record.number("error_count")),
                "edac",
                what.isEmpty() ? "memory error" : what,
                new Raw.Text(detail));
    }

    private static HardwareEvent extendedLog(TraceRecord record, long wallMs) {
        CperMemory type = CperMemory.of((int) record.number("etype"));
        Component.Memory memory =
                ExtendedLog.place(record.bytes("data")).labelled(MemoryLocation.label(record.text("fru_text")));
        return new HardwareEvent(
                wallMs,
                type.kind(),
                CperMemory.severity((int) record.number("sev")),
                memory,
                address(record.number("pa")),
                1,
                "extlog",
                type.words(),
                new Raw.Text("data " + hex(record.bytes("data"))));
    }

    private static HardwareEvent memoryFailure(TraceRecord record, long wallMs) {
        long pfn = record.number("pfn");
        long address = pfn >= 0 && pfn < 1L << 40 ? pfn << PAGE_SHIFT : HardwareEvent.NO_ADDRESS;
        long result = record.number("result");
        String outcome = record.format().symbol("result", result);
        String type = record.format().symbol("type", record.number("type"));
        boolean kept = outcome.equals("Ignored") || outcome.equals("Failed") || (outcome.isEmpty() && result <= 1);
        return new HardwareEvent(
                wallMs,
                EventKind.PAGE_FAILED,
                kept ? Severity.RECOVERABLE : Severity.ACTION_OPTIONAL,
                address == HardwareEvent.NO_ADDRESS
                        ? Component.Memory.ANYWHERE
                        : new Component.PhysicalAddress(address, 1L << PAGE_SHIFT),
                address,
                1,
                "memory-failure",
                kept ? "page with lost data stays in use" : "page with lost data taken out of use",
                new Raw.Text(type + " " + outcome));
    }

    private static HardwareEvent vendor(TraceRecord record, long wallMs) {
        String fru = record.text("fru_text");
        return new HardwareEvent(
                wallMs,
                EventKind.VENDOR,
                firmwareSeverity((int) record.number("sev")),
                new Component.Host(fru),
                HardwareEvent.NO_ADDRESS,
                1,
                "vendor",
                "record in the vendor's own form",
                new Raw.Text("section " + hex(record.bytes("sec_type")) + " data " + hex(record.bytes("buf"))));
    }

    /** As the kernel orders them, not as the firmware's record does: {@code GHES_SEV_*} of {@code include/acpi/ghes.h}. */
    private static Severity firmwareSeverity(int number) {
        return switch (number) {
            case 1 -> Severity.CORRECTED;
            case 2 -> Severity.RECOVERABLE;
            case 3 -> Severity.FATAL;
            default -> Severity.INFORMATIONAL;
        };
    }

    private static HardwareEvent arm(TraceRecord record, long wallMs) {
        return new HardwareEvent(
                wallMs,
                EventKind.INTERNAL,
                record.has("sev") ? CperMemory.severity((int) record.number("sev")) : Severity.RECOVERABLE,
                new Component.Cpu(Component.UNKNOWN, Component.UNKNOWN, number(record, "cpu")),
                HardwareEvent.NO_ADDRESS,
                1,
                "arm",
                "processor error reported by the firmware",
                new Raw.Text("mpidr 0x" + Long.toHexString(record.number("mpidr")) + " midr 0x"
                        + Long.toHexString(record.number("midr"))));
    }

    /** {@code include/trace/events/thermal.h}: that active cooling, a fan, sets in is no sign of anything. */
    private static @Nullable HardwareEvent thermal(TraceRecord record, long wallMs) {
        int type = (int) record.number("trip_type", THERMAL_ACTIVE);
        return type == THERMAL_ACTIVE
                ? null
                : new HardwareEvent(
                        wallMs,
                        EventKind.THERMAL,
                        Severity.INFORMATIONAL,
                        new Component.Sensor("", record.text("thermal_zone")),
                        HardwareEvent.NO_ADDRESS,
                        1,
                        "thermal",
                        type == THERMAL_CRITICAL ? "critical thermal limit passed" : "thermal limit passed",
                        new Raw.Text("trip " + record.number("trip") + " type " + type));
    }

    private static int number(TraceRecord record, String field) {
        long value = record.number(field, Component.UNKNOWN);
        return value < 0 || value > Integer.MAX_VALUE ? Component.UNKNOWN : (int) value;
    }

    /** EDAC drivers and firmware say 0 where they do not know. */
    private static long address(long value) {
        return value <= 0 ? HardwareEvent.NO_ADDRESS : value;
    }

    private static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < Math.min(bytes.length, Raw.CHARS_MAX / 4); i++) {
            text.append(Character.forDigit(bytes[i] >> 4 & 15, 16)).append(Character.forDigit(bytes[i] & 15, 16));
        }
        return text.toString();
    }
}
