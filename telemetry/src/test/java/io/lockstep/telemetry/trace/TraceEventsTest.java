package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class TraceEventsTest {
    private static final long NOW = 1_700_000_000_500L;

    private final ByteBuffer page = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
    private int end = 128;

    private static TraceFormat format(String text) {
        return Objects.requireNonNull(TraceFormat.parse(text));
    }

    private HardwareEvent decode(String event, String format) {
        HardwareEvent decoded = TraceEvents.decode(event, new TraceRecord(format(format), page, 0, end), NOW);
        return Objects.requireNonNull(decoded);
    }

    /** Puts a text behind the record and its place into a field. */
    private void text(int field, String text) {
        byte[] bytes = (text + "\0").getBytes(StandardCharsets.UTF_8);
        page.put(end, bytes);
        page.putInt(field, bytes.length << 16 | end);
        end += bytes.length;
    }

    @Test
    void shouldDecodeAMachineCheck() {
        page.putLong(8, 0x1000c0a).putLong(24, 0x8800000000000080L).putLong(40, 1L << 63);
        page.putLong(80, 1_700_000_000L).putInt(88, 3).putInt(92, 0x50654).putInt(100, 1);
        page.put(105, (byte) 7).put(106, (byte) 0);
        HardwareEvent event = decode("mce/mce_record", Formats.MCE_RECORD);
        assertThat(event.kind()).isEqualTo(EventKind.MIRROR_FAILOVER);
        assertThat(event.wallMs()).isEqualTo(NOW);
        assertThat(event.raw().words())
                .isEqualTo("CPU 3 bank 7 status 0x8800000000000080 misc 0x8000000000000000 cpuid 0x50654");
    }

    @Test
    void shouldTakeTheMachineChecksOwnTimeWhenItIsOfThePast() {
        page.putLong(24, 0x8800000000000080L).putLong(80, 1_600_000_000L);
        assertThat(decode("mce/mce_record", Formats.MCE_RECORD).wallMs()).isEqualTo(1_600_000_000_000L);
    }

    @Test
    void shouldDecodeAMemoryControllersEvent() {
        page.putInt(8, 0)
                .putShort(20, (short) 3)
                .put(22, (byte) 1)
                .putLong(32, 0x7654321000L)
                .put(40, (byte) 5);
        text(12, "memory read error");
        text(16, "CPU_SrcID#0_MC#1_Chan#2_DIMM#0");
        text(
                56,
                "err_code:0101:0090 ProcessorSocketId:0x0 PhysicalRankId:0x1 Row:0x1a2 Column:0x10 Bank:0x1 BankGroup:0x2");
        assertThat(decode("ras/mc_event", Formats.MC_EVENT).line())
                .isEqualTo("corrected error on DIMM CPU0 controller 1 channel 2 slot 0, rank 1, bank 9, row 0x1a2,"
                        + " column 0x10 at address 0x7654321000, 3 times: memory read error (edac)");
        end = 128;
        page.putInt(8, 1);
        text(16, "DIMM_A1");
        text(56, "");
        HardwareEvent uncorrected = decode("ras/mc_event", Formats.MC_EVENT);
        assertThat(uncorrected.severity()).isEqualTo(Severity.RECOVERABLE);
        assertThat(uncorrected.component())
                .isEqualTo(Component.Memory.ANYWHERE.labelled("DIMM_A1").at(-1, 1, -1, -1));
    }

    @Test
    void shouldDecodeAMemoryFailureByTheNamesOfThisKernel() {
        page.putLong(8, 0x5003).putInt(16, 13).putInt(20, 3);
        HardwareEvent event = decode("ras/memory_failure_event", Formats.MEMORY_FAILURE);
        assertThat(event.line())
                .isEqualTo("uncorrected error, action optional on memory at physical address 0x5003000 (4096 bytes) at"
                        + " address 0x5003000: page with lost data taken out of use (memory-failure)");
        assertThat(event.raw().words()).isEqualTo("dirty LRU page Recovered");
        page.putInt(20, 1);
        assertThat(decode("memory_failure/memory_failure_event", Formats.MEMORY_FAILURE)
                        .what())
                .isEqualTo("page with lost data stays in use");
    }

    @Test
    void shouldDecodeAPcieErrorWithoutAStaleHeader() {
        page.putInt(12, 0x2041).put(16, (byte) 2).put(17, (byte) 0).putInt(20, 0x12345678);
        text(8, "0000:3b:00.1");
        HardwareEvent event = decode("ras/aer_event", Formats.AER_EVENT);
        assertThat(event.line())
                .isEqualTo("corrected error on PCIe device 0000:3b:00.1: PCIe receiver error, bad transaction packet,"
                        + " advisory non-fatal error (aer)");
        assertThat(event.raw().words()).isEqualTo("status 0x2041");
        page.put(16, (byte) 1).put(17, (byte) 1).putInt(12, 1 << 18);
        HardwareEvent fatal = decode("ras/aer_event", Formats.AER_EVENT);
        assertThat(fatal.severity()).isEqualTo(Severity.FATAL);
        assertThat(fatal.what()).isEqualTo("PCIe malformed transaction packet");
        assertThat(fatal.raw().words()).isEqualTo("status 0x40000 header 12345678 00000000 00000000 00000000");
    }

    @Test
    void shouldReadFieldsOfAnyKernelAndNoneThatIsNotThere() {
        TraceRecord record = new TraceRecord(format(Formats.MCE_RECORD), page, 0, 100);
        assertThat(record.number("ppin", -5)).isEqualTo(-5);
        assertThat(record.number("socketid", -5)).as("beyond the record").isEqualTo(-5);
        assertThat(record.has("cpuid")).isTrue();
        assertThat(TraceFormat.parse("no format")).isNull();
    }

    @Test
    void shouldNeverThrowWhateverARecordHolds() {
        SplittableRandom random = new SplittableRandom(11);
        String[] names = {
            "mce/mce_record",
            "ras/mc_event",
            "ras/memory_failure_event",
            "ras/aer_event",
            "cxl/cxl_dram",
            "ras/non_standard_event",
            "ras/extlog_mem_event",
            "ras/arm_event",
            "thermal/thermal_zone_trip",
            "sched/x"
        };
        TraceFormat[] formats = {
            format(Formats.MCE_RECORD),
            format(Formats.MC_EVENT),
            format(Formats.MEMORY_FAILURE),
            format(Formats.AER_EVENT)
        };
        for (int round = 0; round < 50_000; round++) {
            byte[] bytes = new byte[300];
            random.nextBytes(bytes);
            ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
            TraceRecord record =
                    new TraceRecord(formats[random.nextInt(formats.length)], buffer, 0, random.nextInt(301));
            HardwareEvent event = TraceEvents.decode(names[random.nextInt(names.length)], record, NOW);
            if (event != null) {
                assertThat(event.line().length()).isBetween(10, 4000);
            }
        }
    }
}
