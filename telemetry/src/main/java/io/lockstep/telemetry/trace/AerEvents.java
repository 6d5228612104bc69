package io.lockstep.telemetry.trace;

import io.lockstep.telemetry.decode.PcieErrors;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;

/** {@code ras:aer_event}: errors of the PCI Express bus. */
final class AerEvents {
    private static final int TLP_WORDS = 4;

    private AerEvents() {}

    static HardwareEvent decode(TraceRecord record, long wallMs) {
        int kind = (int) record.number("severity");
        Severity severity =
                switch (kind) {
                    case 1 -> Severity.FATAL;
                    case 2 -> Severity.CORRECTED;
                    default -> Severity.RECOVERABLE;
                };
        long status = record.number("status");
        String device = record.text("dev_name");
        StringBuilder raw = new StringBuilder("status 0x").append(Long.toHexString(status));
        // The header is what the last error left there unless it is said to be valid.
        byte[] header = record.bytes("tlp_header");
        if (record.number("tlp_header_valid") == 1 && header.length >= TLP_WORDS * 4) {
            raw.append(" header");
            for (int word = 0; word < TLP_WORDS; word++) {
                int value = 0;
                for (int b = 3; b >= 0; b--) {
                    value = value << 8 | (header[word * 4 + b] & 0xff);
                }
                raw.append(String.format(" %08x", value));
            }
        }
        Component component = PcieErrors.device(device);
        return new HardwareEvent(
                wallMs,
                EventKind.PCIE,
                severity,
                component,
                HardwareEvent.NO_ADDRESS,
                1,
                "aer",
                PcieErrors.words(status, kind == 2),
                new Raw.Text(raw.toString()));
    }
}
