package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;

/** CXL memory devices: {@code drivers/cxl/core/trace.h}; CXL 3.1, 8.2.9.2.1 (event records) and 8.2.4.17 (RAS registers). */
final class CxlEvents {
    private static final int LOG_FATAL = 3;
    private static final int UNCORRECTABLE = 1;
    private static final int CORRECTED_THRESHOLD = 2;
    private static final String[] TYPES = {"ECC error", "invalid address", "data path error"};

    private CxlEvents() {}

    static HardwareEvent decode(String name, TraceRecord record, long wallMs) {
        return switch (name) {
            case "cxl_aer_correctable_error" ->
                event(
                        record,
                        wallMs,
                        EventKind.CXL,
                        Severity.CORRECTED,
                        "corrected error of the link" + status(record));
            case "cxl_aer_uncorrectable_error" ->
                event(
                        record,
                        wallMs,
                        EventKind.CXL,
                        Severity.RECOVERABLE,
                        "uncorrected error of the link" + status(record));
            case "cxl_general_media" -> media(record, wallMs, "media ");
            case "cxl_dram" -> media(record, wallMs, "DRAM ");
            case "cxl_memory_module" ->
                event(
                        record,
                        wallMs,
                        EventKind.CXL,
                        record.number("log") == LOG_FATAL ? Severity.RECOVERABLE : Severity.INFORMATIONAL,
                        "state of the module changed: health 0x" + Long.toHexString(record.number("health_status"))
                                + ", media 0x" + Long.toHexString(record.number("media_status")) + ", "
                                + record.number("life_used") + " % of its life used");
            case "cxl_poison" -> event(record, wallMs, EventKind.POISON, Severity.DEFERRED, "poisoned memory");
            case "cxl_overflow" ->
                event(
                        record,
                        wallMs,
                        EventKind.LOGGING_LIMIT,
                        Severity.INFORMATIONAL,
                        "its log overflowed, " + Math.max(0, record.number("count")) + " records were lost");
            default -> event(record, wallMs, EventKind.CXL, Severity.INFORMATIONAL, "record of another kind");
        };
    }

    private static HardwareEvent media(TraceRecord record, long wallMs, String what) {
        long descriptor = record.number("descriptor");
        boolean lost = (descriptor & UNCORRECTABLE) != 0;
        int type = (int) record.number("type", -1);
        String words = what + (type >= 0 && type < TYPES.length ? TYPES[type] : "error of type " + type);
        return event(
                record,
                wallMs,
                (descriptor & CORRECTED_THRESHOLD) != 0 && !lost ? EventKind.LOGGING_LIMIT : EventKind.CXL,
                lost ? Severity.RECOVERABLE : Severity.CORRECTED,
                words + ((descriptor & CORRECTED_THRESHOLD) != 0 ? ", at its limit of corrected errors" : ""));
    }

    private static String status(TraceRecord record) {
        return ", status 0x" + Long.toHexString(record.number("status"));
    }

    private static HardwareEvent event(
            TraceRecord record, long wallMs, EventKind kind, Severity severity, String what) {
        StringBuilder raw = new StringBuilder();
        for (String field : new String[] {"dpa", "hpa", "descriptor", "rank", "bank_group", "bank", "row", "column"}) {
            if (record.has(field)) {
                raw.append(raw.isEmpty() ? "" : " ").append(field).append(" 0x");
                raw.append(Long.toHexString(record.number(field)));
            }
        }
        // All ones: the device's address is not mapped, or this kernel cannot tell where.
        long host = record.number("hpa", -1);
        String device = record.text("memdev");
        return new HardwareEvent(
                wallMs,
                kind,
                severity,
                new Component.Host("CXL device " + (device.isEmpty() ? record.text("dev_name") : device)),
                host > 0 ? host : HardwareEvent.NO_ADDRESS,
                1,
                "cxl",
                what,
                new Raw.Text(raw.toString()));
    }
}
