package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.decode.Checks.amd;
import static io.lockstep.telemetry.decode.Checks.intel;
import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MachineCheckDecoderTest {
    private static final long FAILOVER = 1L << 63;
    private static final long SCRUBBED = 1L << 62;

    private static HardwareEvent decode(MachineCheck check) {
        return MachineCheckDecoder.decode(check);
    }

    @Test
    void shouldSeeTheMirrorFailOverWhenSkylakeReportsAPlainCorrectedError() {
        HardwareEvent event = decode(intel(Checks.SKYLAKE, 7, 0x8800000000000080L, FAILOVER));
        assertThat(event.line())
                .isEqualTo(
                        "corrected error on memory of CPU0 controller 0 channel 0: memory failed over to its mirror (mce)");
        assertThat(event.kind()).isEqualTo(EventKind.MIRROR_FAILOVER);
        assertThat(event.immediate()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        // CPUID, bank, bit of MISC, what it means there.
        "406f1,  7, 41, MIRROR_FAILOVER",
        "406f1,  8, 42, MIRROR_SCRUBBED",
        "406f1,  9, 41, MEMORY_ERROR",
        "406f1,  7, 63, MEMORY_ERROR",
        "50654,  8, 63, MIRROR_FAILOVER",
        "50657,  7, 62, MIRROR_SCRUBBED",
        "50654, 13, 63, MEMORY_ERROR",
        "50654,  7, 41, MEMORY_ERROR",
        "606a6, 12, 63, MIRROR_FAILOVER",
        "606a6, 24, 62, MIRROR_SCRUBBED",
        "606a6, 13, 63, MEMORY_ERROR",
        "606a6,  7, 63, MEMORY_ERROR",
        "806f8, 13, 63, MEMORY_ERROR",
        "206d7,  8, 63, MEMORY_ERROR",
        "906ea,  7, 63, MEMORY_ERROR",
    })
    void shouldReadMirrorBitsInTheirOwnModelsAndBanksAlone(String cpuid, int bank, int bit, EventKind expected) {
        MachineCheck check = intel(Integer.parseInt(cpuid, 16), bank, 0x8800000000000080L, 1L << bit);
        assertThat(decode(check).kind()).isEqualTo(expected);
    }

    @Test
    void shouldNotReadMirrorBitsWhenMiscIsNotValid() {
        assertThat(decode(intel(Checks.SKYLAKE, 7, 0x8000000000000080L, FAILOVER | SCRUBBED))
                        .kind())
                .isEqualTo(EventKind.MEMORY_ERROR);
    }

    @ParameterizedTest
    @CsvSource({
        // CPUID, bank, MSCOD, kind, phrase: SDM volume 3B chapter 17.
        "206d7,  8, 0020, MEMORY_SPARE, corrected error while memory is copied to a spare",
        "206d7,  8, 0040, MEMORY_SPARE, uncorrected error while memory is copied to a spare",
        "306e4,  9, 0008, MEMORY_SCRUB, corrected patrol scrub error",
        "306e4,  9, 0030, MEMORY_SCRUB, uncorrected patrol scrub error",
        "50654, 13, 0021, MEMORY_PARITY, memory address parity error",
        "306f2, 16, 0010, MEMORY_SCRUB, uncorrected patrol scrub error",
        "406f1, 12, 0200, MEMORY_PARITY, parity error of a DDR4 command or address",
        "50654, 13, 0010, MEMORY_SCRUB, uncorrected patrol scrub error",
        "50654, 18, 0400, MEMORY_PARITY, uncorrected memory address parity error",
        "50654, 14, 0807, MEMORY_ERROR, uncorrectable error of persistent memory",
        "606a6, 13, 1080, MIRROR_SECOND, read error in the second copy of mirrored memory",
        "806f8, 20, 10A0, MIRROR_BROKEN, uncorrected read error in the second copy of mirrored memory",
        "c06f2, 15, 0020, MEMORY_SPARE, corrected error while memory is copied to a spare",
        "a06d1, 24, 00A0, MEMORY_ERROR, uncorrected memory read error",
        "a06d1, 24, 00B0, POISON, poison read from memory while the controller has poison turned off",
        "50654,  5, 0010, MEMORY_ERROR, memory read error",
        "50654, 13, 7777, MEMORY_ERROR, 'memory read error, model code 0x7777'",
        "806f8, 21, 10A0, MEMORY_ERROR, memory read error",
    })
    void shouldKnowTheMemoryControllersOwnCodes(String cpuid, int bank, String mscod, EventKind kind, String what) {
        long status = 0x8000000000000090L | Long.parseLong(mscod, 16) << 16;
        HardwareEvent event = decode(intel(Integer.parseInt(cpuid, 16), bank, status, 0));
        assertThat(event.kind()).isEqualTo(kind);
        assertThat(event.what()).isEqualTo(what);
    }

    @Test
    void shouldNotTakeAnUncorrectedScrubForHarmlessWhenItIsReportedAsCorrected() {
        HardwareEvent event = decode(intel(Checks.SKYLAKE, 13, 0x8c000000001000c0L, 0x8c, 0x7000000, 0));
        assertThat(event.severity()).isEqualTo(Severity.ACTION_OPTIONAL);
        assertThat(event.line())
                .isEqualTo(
                        "uncorrected error, action optional on memory of CPU0 controller 0 channel 0 at address 0x7000000:"
                                + " uncorrected patrol scrub error (mce)");
    }

    @ParameterizedTest
    @CsvSource({
        // STATUS, MCGSTATUS, severity by arch/x86/kernel/cpu/mce/severity.c with SER_P.
        "3d000000000000c0, 0, INFORMATIONAL",
        "8c00000000000090, 0, CORRECTED",
        "be00000000000135, 0, FATAL",
        "bf80000000000145, 5, FATAL",
        "bd00000000000134, 4, FATAL",
        "ad000000000000c0, d, INFORMATIONAL",
        "bd000000000000c0, d, ACTION_OPTIONAL",
        "bc000000000010c5, 0, ACTION_OPTIONAL",
        "bd0000000000017a, 5, ACTION_OPTIONAL",
        "bc00000000000090, 0, NO_ACTION",
        "fc00000000000090, 0, NO_ACTION",
        "bc80000000000090, 0, FATAL",
        "fc80000000000090, 0, NO_ACTION",
        "bd80000000000134, 5, ACTION_REQUIRED",
        "bd80000000000150, 7, ACTION_REQUIRED",
        "fd80000000000134, 5, FATAL",
        "b980000000000134, 5, FATAL",
        "bd80000000000135, 5, FATAL",
        "bd00000000000135, 5, ACTION_OPTIONAL",
    })
    void shouldGradeAsTheKernelDoes(String status, String mcgStatus, Severity expected) {
        MachineCheck check = intel(
                Checks.SKYLAKE, 1, Long.parseUnsignedLong(status, 16), 0x8c, 0x1000, Long.parseLong(mcgStatus, 16));
        assertThat(decode(check).severity()).isEqualTo(expected);
    }

    @Test
    void shouldGradeWithoutRecoveryWhenTheProcessorHasNone() {
        MachineCheck plain =
                new MachineCheck(0, 0, 0x306a9, 0, 0, 1, 0, 0x0c09, 0, 0xbc00000000000090L, 0, 0, 0, 0, 0, 0);
        assertThat(decode(plain).severity()).isEqualTo(Severity.RECOVERABLE);
        MachineCheck lost =
                new MachineCheck(0, 0, 0x306a9, 0, 0, 1, 0, 0x0c09, 0, 0xfc00000000000090L, 0, 0, 0, 0, 0, 0);
        assertThat(decode(lost).severity()).isEqualTo(Severity.FATAL);
    }

    @Test
    void shouldCountCorrectedErrorsWhenTheProcessorDoes() {
        long status = 0x8c00000000000091L | 7L << 38;
        assertThat(decode(intel(Checks.SANDY_BRIDGE, 8, status, 0)).count()).isEqualTo(7);
        assertThat(decode(intel(Checks.SANDY_BRIDGE, 8, status | 1L << 61, 0)).count())
                .isEqualTo(1);
    }

    @Test
    void shouldCutTheAddressToWhatMiscSaysAndTrustPhysicalOnesAlone() {
        long status = 0x8c00000000000091L;
        assertThat(decode(intel(Checks.SKYLAKE, 13, status, 0x8c, 0x12345678, 0))
                        .address())
                .isEqualTo(0x12345000);
        assertThat(decode(intel(Checks.SKYLAKE, 13, status, 0x4c, 0x12345678, 0))
                        .address())
                .isEqualTo(HardwareEvent.NO_ADDRESS);
        assertThat(decode(intel(Checks.SKYLAKE, 13, status, 0x8c, -1, 0)).address())
                .isEqualTo(HardwareEvent.NO_ADDRESS);
        assertThat(decode(intel(Checks.SKYLAKE, 13, 0x8800000000000091L, 0x8c, 0x1000, 0))
                        .address())
                .isEqualTo(HardwareEvent.NO_ADDRESS);
    }

    @Test
    void shouldTellThePlaceInTheModuleWhereMiscHasIt() {
        long misc = 5L << 56 | 2L << 42 | 1L << 40 | 1L << 44 | 0x1abcdL << 19 | 0x155L << 9 | 0x86;
        Component place =
                decode(intel(Checks.ICE_LAKE, 18, 0x8c00000000800090L, misc)).component();
        // Bank 2 of group 1 with the group's third bit: (1 | 1 << 2) << 2 | 2.
        assertThat(place).isEqualTo(Component.Memory.ANYWHERE.at(0, 1, 1, 1).place(1, 22, 0x1abcd, 0x554));
        Component persistent = decode(intel(Checks.ICE_LAKE, 18, 0x8c00000000800090L, misc | 8L << 59))
                .component();
        assertThat(persistent).isEqualTo(Component.Memory.ANYWHERE.at(0, 1, 1, -1));
        // Bit 56 is the sub-rank's.
        long sapphire = 1L << 58 | 1L << 56 | 2L << 39 | 1L << 37 | 1L << 41 | 0x1abcdL << 19 | 0x155L << 9 | 0x86;
        assertThat(decode(intel(Checks.SAPPHIRE_RAPIDS, 16, 0x8c00000000800090L, sapphire))
                        .line())
                .startsWith(
                        "corrected error on DIMM CPU0 controller 1 channel 1 slot 1, rank 0, bank 22, row 0x1abcd,");
        long granite = 3L << 55 | 5L << 39 | 1L << 37 | 0x2abcdL << 19 | 0x155L << 9 | 0x86;
        Component none = decode(intel(Checks.GRANITE_RAPIDS, 20, 0x8c00000000800090L, granite))
                .component();
        assertThat(none).isEqualTo(Component.Memory.ANYWHERE.at(0, 7, 0, -1));
        Component known = decode(intel(Checks.GRANITE_RAPIDS, 20, 0x8c00000200800090L, granite))
                .component();
        assertThat(known).isEqualTo(Component.Memory.ANYWHERE.at(0, 7, 0, -1).place(3, 21, 0x2abcd, 0x554));
    }

    @Test
    void shouldFollowTheProcessorsOwnLimitOfACache() {
        long yellow = 0x8000000000000151L | 2L << 53;
        assertThat(decode(intel(Checks.SKYLAKE, 0, yellow, 0)).kind()).isEqualTo(EventKind.CACHE_LIMIT);
        long green = 0x8000000000000151L | 1L << 53;
        assertThat(decode(intel(Checks.SKYLAKE, 0, green, 0)).kind()).isEqualTo(EventKind.CACHE);
    }

    @Test
    void shouldTellThermalAndFirmwareRecordsFromMachineChecks() {
        assertThat(decode(intel(Checks.SKYLAKE, 128, 0x88010003L, 0)).line())
                .isEqualTo("notice on CPU 3 (socket 0): processor over its thermal limit (mce)");
        HardwareEvent firmware = decode(intel(Checks.SKYLAKE, 255, 0x9c0000000000009fL, 0x8c, 0x5000000, 0));
        assertThat(firmware.line())
                .isEqualTo("corrected error on a DIMM at address 0x5000000: error reported by the firmware (mce)");
        assertThat(decode(intel(Checks.SKYLAKE, 255, 0xbc0000000000009fL, 0x8c)).severity())
                .isEqualTo(Severity.RECOVERABLE);
    }

    @Test
    void shouldDecodeAmdMemoryControllers() {
        // Status of a corrected ECC error: VAL, EN, MISCV, ADDRV, SYNDV, CECC.
        HardwareEvent event = decode(amd(0x96, 0, 0x00350f00L, 0x9c2040000000011bL, 0x5));
        assertThat(event.line())
                .isEqualTo(
                        "corrected error on DIMM CPU1 channel 3 slot 2, rank 1: DRAM ECC error in the memory controller (mce)");
        assertThat(event.address()).isEqualTo(HardwareEvent.NO_ADDRESS);
        HardwareEvent parity = decode(amd(0x96, 1, 0, 0x9c2040000004011bL, 0));
        assertThat(parity.what()).isEqualTo("command or address parity error in the memory controller");
        assertThat(parity.kind()).isEqualTo(EventKind.MEMORY_PARITY);
    }

    @ParameterizedTest
    @CsvSource({
        "8000000000000000, CORRECTED, MEMORY_ERROR",
        "8000100000000000, DEFERRED, MEMORY_ERROR",
        "a000000000000000, ACTION_REQUIRED, MEMORY_ERROR",
        "a200000000000000, FATAL, MEMORY_ERROR",
        "a080080000000000, ACTION_REQUIRED, POISON",
        "8000080000010000, CORRECTED, POISON",
        "2000000000000000, INFORMATIONAL, MEMORY_ERROR",
    })
    void shouldGradeAmdByItsOwnBits(String status, Severity severity, EventKind kind) {
        HardwareEvent event = decode(amd(0x96, 0, 0, Long.parseUnsignedLong(status, 16), 0));
        assertThat(event.severity()).isEqualTo(severity);
        assertThat(event.kind()).isEqualTo(kind);
    }

    /** Hardware IDs and types: {@code arch/x86/kernel/cpu/mce/amd.c} of Linux 6.8, smca_hwid_mcatypes. */
    @ParameterizedTest
    @CsvSource({
        "170, 0,  0, BUS, error 0 in the data plane of the ultra short reach link",
        "180, 0,  2, BUS, error 2 in the control plane of the ultra short reach link",
        "b0,  0, 11, CACHE, data cache tag error 2 in the load-store unit",
        "b0,  0, 12, POISON, poison used from the data cache in the load-store unit",
        "b0, 16,  8, CACHE, L1 TLB parity error in the load-store unit",
        "b0,  1,  3, CACHE, instruction cache data parity error in the instruction fetch unit",
        "b0,  2,  2, CACHE, data ECC error in the L2 cache",
        "b0,  7,  4, CACHE, data ECC error in the L3 cache",
        "2e,  0,  8, BUS, probe filter ECC error in the coherent station",
        "2e,  2, 10, BUS, probe filter ECC error in the coherent station",
        "2e,  1,  4, BUS, deferred error of the data fabric in the power",
        "46,  0, 63, PCIE, error 63 in the PCI Express unit",
    })
    void shouldKnowAmdBanksByTheirIdentity(String hardware, int type, long code, EventKind kind, String what) {
        HardwareEvent event = decode(amd(Integer.parseInt(hardware, 16), type, 0, 1L << 63 | code << 16, 0));
        assertThat(event.kind()).isEqualTo(kind);
        assertThat(event.what()).startsWith(what);
    }

    @Test
    void shouldSayInNumbersWhatItDoesNotKnow() {
        assertThat(decode(intel(Checks.SKYLAKE, 6, 0x8000000012345678L, 0)).line())
                .isEqualTo("corrected error on CPU 3 (socket 0): machine check of an unknown code"
                        + " (mce: CPU 3 bank 6 status 0x8000000012345678 cpuid 0x50654)");
        assertThat(decode(amd(0xabc, 0x123, 0, 0x900000000009011bL, 0)).line())
                .isEqualTo(
                        "corrected error on CPU 8 (socket 1): unspecified-level generic cache error on a read, code 9 of"
                                + " bank type 0xabc/0x123 (mce)");
        MachineCheck nowhere = new MachineCheck(0, 0, 0, -1, -1, 6, 0, 0, 0, 0x8000000012345678L, 0, 0, 0, 0, 0, 0);
        assertThat(decode(nowhere).line())
                .isEqualTo("corrected error on a CPU: machine check of an unknown code (mce: bank 6 status"
                        + " 0x8000000012345678)");
    }
}
