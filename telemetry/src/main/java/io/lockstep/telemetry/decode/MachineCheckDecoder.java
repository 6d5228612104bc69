package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.decode.Bits.field;
import static io.lockstep.telemetry.decode.Bits.set;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Severity;
import org.jspecify.annotations.Nullable;

/** Decodes machine checks. Pure; any thread; never throws; allocates the event and its component alone. */
public final class MachineCheckDecoder {
    /** {@link HardwareEvent#source()} of what comes from here. */
    public static final String SOURCE = "mce";

    /** Physical addresses have at most 52 bits (Intel SDM volume 1, 3.3.1). */
    private static final int ADDRESS_BITS = 52;

    private static final long PAGE_BYTES = 4096;
    private static final int CMCI_P = 10;
    private static final int TES_P = 11;
    private static final int TRACKING_YELLOW = 2;
    private static final int MODE_LINEAR = 1;
    private static final int AMD_SMCA_FAMILY = 0x17;
    private static final int SYNDV = 53;
    private static final int THERMAL_NOW = 0;
    private static final int NORTHBRIDGE_BANK = 4;
    private static final int NORTHBRIDGE_DRAM = 8;

    private MachineCheckDecoder() {}

    /** What happened. */
    public static HardwareEvent decode(MachineCheck check) {
        if (check.bank() == MachineCheck.THERMAL_BANK) {
            // STATUS is IA32_THERM_STATUS there: bit 0 says that it is too hot now, and the record comes at both ends.
            String what = set(check.status(), THERMAL_NOW)
                    ? "processor over its thermal limit"
                    : "processor below its thermal limit again";
            return event(check, EventKind.THERMAL, Severity.INFORMATIONAL, cpu(check), what);
        }
        if (check.bank() == MachineCheck.FIRMWARE_BANK) {
            return firmware(check);
        }
        boolean amd = check.vendor() == MachineCheck.AMD || check.vendor() == MachineCheck.HYGON;
        return amd ? amd(check) : intel(check);
    }

    /** The kernel fills this bank in when firmware reports memory errors; which kind they are stands in its log alone. */
    private static HardwareEvent firmware(MachineCheck check) {
        Severity severity = set(check.status(), Grade.PCC)
                ? Severity.FATAL
                : set(check.status(), Grade.UC) ? Severity.RECOVERABLE : Severity.CORRECTED;
        return event(check, EventKind.FIRMWARE, severity, Component.Memory.ANYWHERE, "error reported by the firmware");
    }

    private static HardwareEvent intel(MachineCheck check) {
        long status = check.status();
        McaCode code = McaCode.of((int) status);
        IntelGeneration generation = check.vendor() == MachineCheck.INTEL ? IntelGeneration.of(check.cpuid()) : null;
        boolean memory = code.type() == McaCode.Type.MEMORY_CONTROLLER || code.type() == McaCode.Type.MEMORY_CACHE;
        ModelCode model = generation != null && memory ? generation.code(check.bank(), field(status, 16, 31)) : null;
        boolean scrubbed = model != null
                && model.lost()
                && (model.kind() == EventKind.MEMORY_SCRUB || model.kind() == EventKind.MEMORY_SPARE);
        Severity severity = Grade.intel(check, scrubbed);
        if (!memory) {
            if (Grade.lostInMemory(severity, (int) status) && address(check) != HardwareEvent.NO_ADDRESS) {
                return lostData(check, severity, code);
            }
            boolean yellow =
                    set(check.mcgCap(), TES_P) && field(status, 53, 54) == TRACKING_YELLOW && !set(status, Grade.UC);
            return yellow
                    ? event(check, EventKind.CACHE_LIMIT, severity, cpu(check), "cache with many corrected errors")
                    : event(check, code.kind(), severity, cpu(check), code.words());
        }
        Component.Memory place = place(check, generation, code);
        if (generation != null && set(status, Grade.MISCV)) {
            if (generation.failover(check.bank(), check.misc())) {
                return event(check, EventKind.MIRROR_FAILOVER, severity, place, "memory failed over to its mirror");
            }
            if (generation.scrubbed(check.bank(), check.misc())) {
                return event(check, EventKind.MIRROR_SCRUBBED, severity, place, "memory repaired from its mirror");
            }
        }
        if (model != null) {
            return event(check, model.kind(), severity, place, model.words());
        }
        int mscod = field(status, 16, 31);
        boolean unknown = mscod != 0 && generation != null && generation.memoryBank(check.bank());
        String what = unknown ? code.words() + ", model code 0x" + Integer.toHexString(mscod) : code.words();
        return event(check, code.kind(), severity, place, what);
    }

    /** A cache met, or wrote back, data that memory has lost: the page is what failed, and other banks and sources tell of it, too. */
    private static HardwareEvent lostData(MachineCheck check, Severity severity, McaCode code) {
        Component page = new Component.PhysicalAddress(address(check) & -PAGE_BYTES, PAGE_BYTES);
        String who = check.cpu() < 0 ? "" : " of CPU " + check.cpu();
        return event(check, EventKind.POISON, severity, page, code.words() + who);
    }

    private static Component.Memory place(MachineCheck check, @Nullable IntelGeneration generation, McaCode code) {
        int channel = generation == null ? code.channel() : generation.channel(check.bank(), code.channel());
        int controller = generation == null ? Component.UNKNOWN : generation.controller(check.bank());
        Component.Memory memory =
                Component.Memory.ANYWHERE.at(known(check.socket()), controller, channel, Component.UNKNOWN);
        boolean told = set(check.status(), Grade.MISCV) && set(check.status(), Grade.ADDRV);
        return generation != null && told ? generation.place(memory, check) : memory;
    }

    private static HardwareEvent amd(MachineCheck check) {
        long status = check.status();
        Severity severity = Grade.amd(check);
        boolean scalable = MachineCheck.family(check.cpuid()) >= AMD_SMCA_FAMILY || check.ipid() != 0;
        SmcaBank bank = scalable ? SmcaBank.of(check.ipid()) : null;
        McaCode code = McaCode.of((int) status);
        if (bank == null) {
            EventKind kind = set(status, Grade.AMD_POISON) ? EventKind.POISON : code.kind();
            // Before family 17h the northbridge drives the memory (mce_amd.c, mc4_mce_desc).
            boolean dram = !scalable && check.bank() == NORTHBRIDGE_BANK && field(status, 16, 20) == NORTHBRIDGE_DRAM;
            return dram
                    ? event(
                            check,
                            EventKind.MEMORY_ERROR,
                            severity,
                            Component.Memory.ANYWHERE.at(known(check.socket()), -1, -1, -1),
                            "DRAM ECC error in the northbridge")
                    : event(check, kind, severity, cpu(check), code.words() + unknownBank(check));
        }
        ModelCode model = bank.code(status);
        EventKind kind = set(status, Grade.AMD_POISON) ? EventKind.POISON : model.kind();
        if (!bank.memoryController()) {
            return event(check, kind, severity, cpu(check), model.words());
        }
        // The syndrome of a DRAM error names the chip select, of which a module has two (amd64_edac.c,
        // umc_get_err_info).
        boolean selected = set(status, SYNDV) && field(status, 16, 21) == 0;
        int select = field(check.synd(), 0, 2);
        Component.Memory memory = Component.Memory.ANYWHERE
                .at(
                        known(check.socket()),
                        Component.UNKNOWN,
                        field(check.ipid(), 20, 31),
                        selected ? select >> 1 : Component.UNKNOWN)
                .place(
                        selected ? select & 1 : Component.UNKNOWN,
                        Component.UNKNOWN,
                        Component.UNKNOWN,
                        Component.UNKNOWN);
        // The controller's address is normalised to itself: it stays in the raw form and is no physical address.
        return new HardwareEvent(
                check.wallMs(), kind, severity, memory, HardwareEvent.NO_ADDRESS, 1, SOURCE, model.words(), check);
    }

    /** In numbers, what reports in a bank whose type is not known; empty if the processor did not say. */
    private static String unknownBank(MachineCheck check) {
        return check.ipid() == 0
                ? ""
                : ", code " + field(check.status(), 16, 21) + " of bank type 0x"
                        + Integer.toHexString(field(check.ipid(), 32, 43)) + "/0x"
                        + Long.toHexString(check.ipid() >>> 48);
    }

    private static Component cpu(MachineCheck check) {
        return new Component.Cpu(known(check.socket()), Component.UNKNOWN, known(check.cpu()));
    }

    /** Numbers that cannot be are not known. */
    private static int known(int number) {
        return number < 0 ? Component.UNKNOWN : number;
    }

    private static HardwareEvent event(
            MachineCheck check, EventKind kind, Severity severity, Component component, String what) {
        return new HardwareEvent(
                check.wallMs(), kind, severity, component, address(check), count(check), SOURCE, what, check);
    }

    private static long address(MachineCheck check) {
        boolean valid = set(check.status(), Grade.ADDRV) && check.addr() >>> ADDRESS_BITS == 0;
        if (!valid) {
            return HardwareEvent.NO_ADDRESS;
        }
        if (check.vendor() != MachineCheck.INTEL || !set(check.status(), Grade.MISCV)) {
            return check.addr();
        }
        if (field(check.misc(), 6, 8) == MODE_LINEAR) {
            return HardwareEvent.NO_ADDRESS;
        }
        return check.addr() & -1L << field(check.misc(), 0, 5);
    }

    private static long count(MachineCheck check) {
        boolean counted = check.vendor() == MachineCheck.INTEL
                && set(check.mcgCap(), CMCI_P)
                && !set(check.status(), Grade.UC)
                && check.bank() < MachineCheck.THERMAL_BANK;
        return counted ? Math.max(1, field(check.status(), 38, 52)) : 1;
    }
}
