package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.decode.Bits.field;
import static io.lockstep.telemetry.decode.Bits.set;

import io.lockstep.telemetry.event.Component;
import org.jspecify.annotations.Nullable;

/**
 * Intel's server processors as far as their memory controllers' machine checks differ: which banks they use (SDM volume 3B, chapter 17), where
 * mirroring shows in MISC and how MISC tells the place. The same bits mean other things in other banks and models: nothing is decoded outside of
 * this table. Models: {@code arch/x86/include/asm/intel-family.h}.
 */
// The tables and arrays are written while the class loads, and never again.
@SuppressWarnings("ImmutableEnumChecker")
enum IntelGeneration {
    SANDY_BRIDGE(8, 11, 0L, -1, -1, IntelMemoryCodes.BITS_2012, 0x2d),
    IVY_BRIDGE(9, 16, 0L, -1, -1, IntelMemoryCodes.BITS_2012, 0x3e),
    HASWELL(9, 16, 0L, -1, -1, IntelMemoryCodes.BITS_2012, 0x3f),
    BROADWELL_DE(9, 10, 0L, -1, -1, IntelMemoryCodes.BITS_2012, 0x56),
    BROADWELL(9, 16, banks(7, 8), 41, 42, IntelMemoryCodes.BITS_2012, 0x4f),
    SKYLAKE(13, 18, banks(7, 8), 63, 62, IntelMemoryCodes.BITS_2017, 0x55),
    ICE_LAKE(13, 27, banks(12, 16, 20, 24), 63, 62, IntelMemoryCodes.VALUES_2021, 0x6a, 0x6c),
    SAPPHIRE_RAPIDS(13, 20, 0L, -1, -1, IntelMemoryCodes.VALUES_2021, 0x8f),
    EMERALD_RAPIDS(13, 20, 0L, -1, -1, IntelMemoryCodes.VALUES_2021, 0xcf),
    GRANITE_RAPIDS(13, 24, 0L, -1, -1, IntelMemoryCodes.VALUES_2024, 0xad, 0xae, 0xaf);

    /** Mode in MISC bits 62:59 of a read from persistent memory, whose place is not in MISC (skx_common.h, MCI_MISC_ECC_DDRT). */
    private static final int PERSISTENT = 8;

    private static final @Nullable IntelGeneration[] BY_MODEL = new @Nullable IntelGeneration[256];

    static {
        for (IntelGeneration generation : values()) {
            for (int model : generation.models) {
                BY_MODEL[model] = generation;
            }
        }
    }

    private final int bankMin;
    private final int bankMax;
    private final long mirrorBanks;
    private final int failoverBit;
    private final int scrubbedBit;
    private final IntelMemoryCodes codes;
    private final int[] models;

    IntelGeneration(
            int bankMin,
            int bankMax,
            long mirrorBanks,
            int failoverBit,
            int scrubbedBit,
            IntelMemoryCodes codes,
            int... models) {
        this.bankMin = bankMin;
        this.bankMax = bankMax;
        this.mirrorBanks = mirrorBanks;
        this.failoverBit = failoverBit;
        this.scrubbedBit = scrubbedBit;
        this.codes = codes;
        this.models = models;
    }

    /** By EAX of CPUID leaf 1; null for any other processor. */
    static @Nullable IntelGeneration of(int cpuid) {
        return field(cpuid, 8, 11) == 6 ? BY_MODEL[field(cpuid, 4, 7) | field(cpuid, 16, 19) << 4] : null;
    }

    private static long banks(int... banks) {
        long mask = 0;
        for (int bank : banks) {
            mask |= 1L << bank;
        }
        return mask;
    }

    private boolean mirrorBank(int bank) {
        return bank >= 0 && bank < 64 && set(mirrorBanks, bank);
    }

    /** Whether a bank belongs to a memory channel. */
    boolean memoryBank(int bank) {
        return bank >= bankMin && bank <= bankMax && !mirrorBank(bank);
    }

    /** Whether MISC says that memory failed over to its mirror. MISC must be valid. */
    boolean failover(int bank, long misc) {
        return mirrorBank(bank) && set(misc, failoverBit);
    }

    /** Whether MISC says that memory was repaired from its mirror. MISC must be valid. */
    boolean scrubbed(int bank, long misc) {
        return mirrorBank(bank) && set(misc, scrubbedBit);
    }

    /** What MSCOD means in a bank; null if that is not known. */
    @Nullable
    ModelCode code(int bank, int mscod) {
        return memoryBank(bank) ? codes.get(mscod) : null;
    }

    /** Controller of the socket that a bank belongs to, as EDAC numbers them (skx_base.c, i10nm_base.c); -1 if banks do not tell. */
    int controller(int bank) {
        return switch (this) {
            case SKYLAKE ->
                switch (bank) {
                    case 7, 13, 14, 17 -> 0;
                    case 8, 15, 16, 18 -> 1;
                    default -> -1;
                };
            case ICE_LAKE -> bank < 12 || bank > 27 ? -1 : (bank - 12) / 4;
            case SAPPHIRE_RAPIDS, EMERALD_RAPIDS -> memoryBank(bank) ? (bank - bankMin) / 2 : -1;
            case GRANITE_RAPIDS -> memoryBank(bank) ? bank - bankMin : -1;
            default -> -1;
        };
    }

    /** Channel of that controller that a bank serves; the code's own where banks do not tell, -1 if neither does. */
    int channel(int bank, int codeChannel) {
        return switch (this) {
            case SKYLAKE ->
                switch (bank) {
                    case 7, 8 -> codeChannel;
                    case 13, 15 -> 0;
                    case 14, 16 -> 1;
                    case 17, 18 -> 2;
                    default -> -1;
                };
            case ICE_LAKE -> bank < 12 || bank > 27 ? -1 : mirrorBank(bank) ? codeChannel : (bank - 13) % 4;
            case SAPPHIRE_RAPIDS, EMERALD_RAPIDS -> memoryBank(bank) ? (bank - bankMin) % 2 : -1;
            case GRANITE_RAPIDS -> memoryBank(bank) ? 0 : -1;
            default -> codeChannel;
        };
    }

    /**
     * The slot and the place in the module, where MISC tells them (i10nm_base.c, i10nm_mc_decode); MISC and ADDR must be valid. Otherwise the memory as
     * given.
     */
    Component.Memory place(Component.Memory memory, MachineCheck check) {
        long misc = check.misc();
        boolean persistent = this != GRANITE_RAPIDS && field(misc, 59, 62) == PERSISTENT;
        if (!memoryBank(check.bank()) || persistent) {
            return memory;
        }
        return switch (this) {
            case ICE_LAKE ->
                slot(memory, field(misc, 58, 58))
                        .place(
                                field(misc, 56, 57),
                                field(misc, 42, 43) | (field(misc, 40, 41) | field(misc, 44, 44) << 2) << 2,
                                field(misc, 19, 39),
                                field(misc, 9, 18) << 2);
            case SAPPHIRE_RAPIDS, EMERALD_RAPIDS ->
                slot(memory, field(misc, 58, 58))
                        .place(
                                field(misc, 57, 57),
                                field(misc, 39, 40) | (field(misc, 37, 38) | field(misc, 41, 41) << 2) << 2,
                                field(misc, 19, 36),
                                field(misc, 9, 18) << 2);
            case GRANITE_RAPIDS ->
                set(check.status(), 33)
                        ? memory.place(
                                field(misc, 55, 57),
                                field(misc, 37, 38) | field(misc, 39, 41) << 2,
                                field(misc, 19, 36),
                                field(misc, 9, 18) << 2)
                        : memory;
            default -> memory;
        };
    }

    private static Component.Memory slot(Component.Memory memory, int slot) {
        return memory.at(memory.socket(), memory.controller(), memory.channel(), slot);
    }
}
