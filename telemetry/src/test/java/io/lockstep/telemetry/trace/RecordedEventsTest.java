package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Records of events that no virtual machine raises, their bytes laid out by {@link RecordedFormats}. */
class RecordedEventsTest {
    private static final long NOW = 1_700_000_000_000L;
    private static final int PARTS = 640;

    private final ByteBuffer page = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    private int end = PARTS;

    private @Nullable HardwareEvent maybe(String event, String format) {
        TraceFormat parsed = Objects.requireNonNull(TraceFormat.parse(format));
        return TraceEvents.decode(event, new TraceRecord(parsed, page, 0, end), NOW);
    }

    private HardwareEvent decode(String event, String format) {
        return Objects.requireNonNull(maybe(event, format));
    }

    private void text(int field, String text) {
        bytes(field, (text + "\0").getBytes(StandardCharsets.UTF_8));
    }

    private void bytes(int field, byte[] bytes) {
        page.put(end, bytes);
        page.putInt(field, bytes.length << 16 | end);
        end += bytes.length;
    }

    /** {@code struct cper_mem_err_compact} of {@code include/linux/cper.h}: the place is in it, in binary. */
    @Test
    void shouldDecodeExtendedErrorLog() {
        page.putInt(8, 7)
                .put(12, (byte) 11)
                .put(13, (byte) 2)
                .putLong(16, 0x7654321000L)
                .put(24, (byte) 12);
        text(44, "CPU1_DIMM_B1");
        long valid = 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200;
        page.putLong(48, valid);
        page.putShort(56, (short) 1).putShort(58, (short) 2).putShort(60, (short) 0);
        page.putShort(62, (short) 3)
                .putShort(64, (short) 4)
                .putShort(66, (short) 0x1a2)
                .putShort(68, (short) 0x10);
        assertThat(decode("ras/extlog_mem_event", RecordedFormats.EXTLOG).line())
                .isEqualTo(
                        "corrected error on DIMM CPU1 channel 2 slot 0 (CPU1_DIMM_B1), bank 3, row 0x1a2, column 0x10 at"
                                + " address 0x7654321000: mirrored memory lost its mirror (extlog)");
        page.putLong(48, 0).put(13, (byte) 1).put(12, (byte) 3);
        assertThat(decode("ras/extlog_mem_event", RecordedFormats.EXTLOG).line())
                .isEqualTo("fatal error on DIMM CPU1_DIMM_B1 at address 0x7654321000: multi-bit memory error (extlog)");
    }

    /** CXL 3.1, table 8-46: bit 0 of the descriptor is an uncorrectable error, bit 1 a threshold. */
    @Test
    void shouldDecodeCxl() {
        text(8, "mem0");
        text(12, "0000:35:00.0");
        page.putInt(16, 2).putLong(72, 0x12345000L).put(80, (byte) 1).put(81, (byte) 0);
        page.putShort(86, (short) 0x10)
                .putInt(92, 0x1a2)
                .put(128, (byte) 1)
                .put(129, (byte) 2)
                .put(130, (byte) 3);
        HardwareEvent lost = decode("cxl/cxl_dram", RecordedFormats.CXL_DRAM);
        assertThat(lost.line()).isEqualTo("uncorrected error on CXL device mem0: DRAM ECC error (cxl)");
        assertThat(lost.raw().words())
                .isEqualTo("dpa 0x12345000 descriptor 0x1 rank 0x1 bank_group 0x2 bank 0x3 row 0x1a2 column 0x10");
        page.put(80, (byte) 2);
        HardwareEvent limit = decode("cxl/cxl_general_media", RecordedFormats.CXL_DRAM);
        assertThat(limit.line())
                .isEqualTo(
                        "corrected error on CXL device mem0: media ECC error, at its limit of corrected errors (cxl)");
        assertThat(limit.kind()).isEqualTo(EventKind.LOGGING_LIMIT);
        page.put(80, (byte) 0).put(81, (byte) 9);
        assertThat(decode("cxl/cxl_dram", RecordedFormats.CXL_DRAM).line())
                .isEqualTo("corrected error on CXL device mem0: DRAM error of type 9 (cxl)");
        page.putInt(24, 0x4000);
        assertThat(decode("cxl/cxl_aer_uncorrectable_error", RecordedFormats.CXL_AER)
                        .line())
                .isEqualTo("uncorrected error on CXL device mem0: uncorrected error of the link, status 0x4000 (cxl)");
        page.putLong(40, 0x8000001000L);
        HardwareEvent poison = decode("cxl/cxl_poison", RecordedFormats.CXL_POISON);
        assertThat(poison.line())
                .isEqualTo("deferred error on CXL device mem0 at address 0x8000001000: poisoned memory (cxl)");
        assertThat(poison.immediate()).isTrue();
        page.putLong(40, -1);
        assertThat(decode("cxl/cxl_poison", RecordedFormats.CXL_POISON).address())
                .isEqualTo(HardwareEvent.NO_ADDRESS);
    }

    @Test
    void shouldDecodeVendorRecordsArmAndThermalTrips() {
        page.put(8, (byte) 0xab).put(44, (byte) 1);
        text(40, "riser 2");
        bytes(52, new byte[] {1, 2, (byte) 0xff});
        HardwareEvent vendor = decode("ras/non_standard_event", RecordedFormats.NON_STANDARD);
        assertThat(vendor.line()).isEqualTo("corrected error on riser 2: record in the vendor's own form (vendor)");
        assertThat(vendor.raw().words()).startsWith("section ab00").endsWith("data 0102ff");
        page.putLong(8, 0x80000000L);
        HardwareEvent arm = decode("ras/arm_event", RecordedFormats.ARM);
        assertThat(arm.line()).isEqualTo("uncorrected error on a CPU: processor error reported by the firmware (arm)");
        assertThat(arm.severity()).isEqualTo(Severity.RECOVERABLE);
        text(8, "x86_pkg_temp");
        page.putInt(20, 1);
        assertThat(decode("thermal/thermal_zone_trip", RecordedFormats.THERMAL).line())
                .isEqualTo("notice on sensor x86_pkg_temp: thermal limit passed (thermal)");
        page.putInt(20, 0);
        assertThat(maybe("thermal/thermal_zone_trip", RecordedFormats.THERMAL))
                .as("a fan that sets in")
                .isNull();
    }

    /** {@code enum thermal_trip_type}: 0 active, 1 passive, 2 hot, 3 critical. */
    @ParameterizedTest
    @CsvSource({
        "1, thermal limit passed",
        "2, thermal limit passed",
        "3, critical thermal limit passed",
    })
    void shouldTellTheSortsOfThermalTripsApart(int type, String what) {
        text(8, "acpitz");
        page.putInt(12, 4).putInt(16, 2).putInt(20, type);
        HardwareEvent event = decode("thermal/thermal_zone_trip", RecordedFormats.THERMAL);
        assertThat(event.line()).isEqualTo("notice on sensor acpitz: " + what + " (thermal)");
        assertThat(event.kind()).isEqualTo(EventKind.THERMAL);
        assertThat(event.raw().words()).isEqualTo("trip 2 type " + type);
    }

    /** An older kernel's thermal_throt: bank 128, STATUS as IA32_THERM_STATUS. */
    @Test
    void shouldTellThatAProcessorIsThrottledAndThatItIsNoMore() {
        machineCheck(0x88010003L, 0, 0, 0, 128);
        page.put(106, (byte) 0).putInt(92, 0x50654);
        assertThat(decode("mce/mce_record", Formats.MCE_RECORD).line())
                .isEqualTo("notice on CPU 9 (socket 1): processor over its thermal limit (mce)");
        page.putLong(24, 0x88010002L);
        assertThat(decode("mce/mce_record", Formats.MCE_RECORD).line())
                .isEqualTo("notice on CPU 9 (socket 1): processor below its thermal limit again (mce)");
    }

    private void machineCheck(long status, long addr, long synd, long ipid, int bank) {
        page.putLong(24, status).putLong(32, addr).putLong(48, synd).putLong(56, ipid);
        page.putInt(88, 9).putInt(92, 0xa00f11).putInt(100, 1).put(105, (byte) bank);
        page.put(106, (byte) 2);
    }

    /** MCA_STATUS, MCA_IPID and MCA_SYND as AMD's Processor Programming Reference of family 19h lays them out. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "9c2040000000011b | 9600350f00 | 5 | corrected error on DIMM CPU1 channel 3 slot 2, rank 1: DRAM ECC error in"
                        + " the memory controller (mce)",
                "9c20100000000a0b | 9600250f00 | 2 | deferred error on DIMM CPU1 channel 2 slot 1, rank 0: DRAM ECC error in"
                        + " the memory controller (mce)",
                "9000000000040a0b | 1009600250f00 | 0 | corrected error on memory of CPU1 channel 2: command or address"
                        + " parity error in the memory controller (mce)",
                "b400080000010135 | 1000b000000000 | 0 | uncorrected error, action required on CPU 9 (socket 1) at address"
                        + " 0x7654321000: data cache ECC error or poison on a load in the load-store unit (mce)",
                "9000000000020151 | 100b000000000 | 0 | corrected error on CPU 9 (socket 1): instruction cache tag parity"
                        + " error in the instruction fetch unit (mce)",
                "9400000000020166 | 200b000000000 | 0 | corrected error on CPU 9 (socket 1) at address 0x7654321000: data ECC"
                        + " error in the L2 cache (mce)",
                "9000000000040137 | 700b000000000 | 0 | corrected error on CPU 9 (socket 1): data ECC error in the L3"
                        + " cache (mce)",
                "b2000000000a0e0b | 2002e00000000 | 0 | fatal error on CPU 9 (socket 1): probe filter ECC error in the"
                        + " coherent station (mce)",
                "9000100000040e0b | 1002e00000000 | 0 | deferred error on CPU 9 (socket 1): deferred error of the data"
                        + " fabric in the power, interrupts and fabric unit (mce)",
            })
    void shouldDecodeAmdsScalableBanks(String status, String ipid, long synd, String line) {
        machineCheck(Long.parseUnsignedLong(status, 16), 0x7654321000L, synd, Long.parseUnsignedLong(ipid, 16), 17);
        assertThat(decode("mce/mce_record", Formats.MCE_RECORD).line()).isEqualTo(line);
    }

    /** {@code drivers/edac/amd64_edac.c}: its label names chip select and channel, and it knows no more. */
    @Test
    void shouldDecodeAnEventOfAmdsMemoryController() {
        page.putInt(8, 0).putShort(20, (short) 1).put(22, (byte) 1).putLong(32, 0x7654321000L);
        text(12, "");
        text(16, "mc#1csrow#3channel#2");
        text(56, "");
        assertThat(decode("ras/mc_event", Formats.MC_EVENT).line())
                .isEqualTo(
                        "corrected error on DIMM controller 1 channel 2 slot 1, rank 1 at address 0x7654321000: memory"
                                + " error (edac)");
    }
}
