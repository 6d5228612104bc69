package io.lockstep.telemetry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Lines in the form of drivers/firmware/efi/cper.c and drivers/acpi/apei/ghes.c of Linux 6.1. */
class CperLogTest {
    private final CperLog log = new CperLog();
    private final List<HardwareEvent> events = new ArrayList<>();

    private void lines(int sequence, String... lines) {
        for (String line : lines) {
            assertThat(log.line("{" + sequence + "}[Hardware Error]: " + line, 1000, events::add))
                    .isTrue();
        }
    }

    private void memory(int sequence, String severity, int type, String name) {
        lines(
                sequence,
                "Hardware error from APEI Generic Hardware Error Source: 1",
                "It has been corrected by h/w and requires no further action",
                "event severity: " + severity,
                " Error 0, type: " + severity,
                " fru_id: 05000000-0000-0000-0000-000000000000",
                " fru_text: DIMM_A1",
                "  section_type: memory error",
                "   error_status: Storage error in DRAM memory (0x0000000000000400)",
                "  physical_address: 0x0000000005000000",
                "  physical_address_mask: 0xfffffffffffff000",
                "  node:0 card:1 module:2 rank:0 bank:3 device:0 row:4660 column:86 ",
                "  error_type: " + type + ", " + name,
                "  DIMM location: not present. DMI handle: 0x0000 ");
    }

    @Test
    void shouldSeeThatAMirrorBrokeAndThatASpareCameIntoUse() {
        memory(1, "corrected", 11, "mirror Broken");
        memory(2, "corrected", 12, "memory sparing");
        assertThat(events).isEmpty();
        log.quiet(1049, events::add);
        assertThat(events).isEmpty();
        log.quiet(1050, events::add);
        assertThat(events)
                .extracting(HardwareEvent::line)
                .containsExactly(
                        "corrected error on DIMM CPU0 channel 1 slot 2 (DIMM_A1), rank 0, bank 3, row 0x1234, column 0x56"
                                + " at address 0x5000000: mirrored memory lost its mirror (ghes)",
                        "corrected error on DIMM CPU0 channel 1 slot 2 (DIMM_A1), rank 0, bank 3, row 0x1234, column 0x56"
                                + " at address 0x5000000: memory spare came into use (ghes)");
        assertThat(events.get(0).kind()).isEqualTo(EventKind.MIRROR_BROKEN);
        assertThat(events.get(0).immediate()).isTrue();
    }

    @Test
    void shouldKeepRecordsApartWhenTheirLinesAreMixed() {
        lines(3, "Hardware error from APEI Generic Hardware Error Source: 1", "event severity: recoverable");
        lines(4, "Hardware error from APEI Generic Hardware Error Source: 2", "event severity: corrected");
        lines(3, " Error 0, type: recoverable", "  section_type: memory error");
        lines(4, " Error 0, type: corrected", "  section_type: PCIe error", "  device_id: 0000:3b:00.1");
        lines(
                3,
                "  error_type: 3, multi-bit ECC",
                " Error 1, type: corrected",
                "  section type: unknown, deadbeef-0001");
        log.end(events::add);
        assertThat(events)
                .extracting(HardwareEvent::line)
                .containsExactlyInAnyOrder(
                        "uncorrected error on a DIMM: multi-bit memory error (ghes)",
                        "corrected error on PCIe device 0000:3b:00.1: PCIe error reported by the firmware (ghes)",
                        "corrected error on this host: record in the vendor's own form (ghes)");
        assertThat(events).extracting(HardwareEvent::severity).contains(Severity.RECOVERABLE);
    }

    @Test
    void shouldPassOverWhatIsNoErrorRecord() {
        assertThat(log.line("usb 1-1: new high-speed USB device", 0, events::add))
                .isFalse();
        assertThat(log.line("[Hardware Error]: no record has begun", 0, events::add))
                .isFalse();
        log.end(events::add);
        assertThat(events).isEmpty();
    }

    @Test
    void shouldStayBoundedAndNeverThrowWhateverTheLogHolds() {
        SplittableRandom random = new SplittableRandom(3);
        String[] parts = {
            " Error 1, type: ",
            "error_type: ",
            "fru_text: ",
            "physical_address: 0x",
            "node:",
            "row:",
            "99999999999999",
            "section_type: memory error",
            "DIMM location: ",
            "\u0007",
            "x".repeat(3000),
            ", ",
            "device_id: "
        };
        for (int i = 0; i < 100_000; i++) {
            String text = parts[random.nextInt(parts.length)] + parts[random.nextInt(parts.length)];
            log.line("{" + random.nextInt(500) + "}[Hardware Error]: " + text, i, e -> assertThat(
                            e.line().length())
                    .isLessThan(8000));
        }
        log.end(events::add);
        assertThat(events).hasSizeLessThanOrEqualTo(64);
    }
}
