package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.EventKind;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What reports in a bank of AMD's scalable machine check architecture (family 17h and newer): told by MCA_IPID, hardware ID in bits 43:32 and type
 * in bits 63:48; the extended error code is bits 21:16 of MCA_STATUS. AMD's Processor Programming References, chapter "MCA Banks";
 * {@code arch/x86/kernel/cpu/mce/amd.c}.
 */
// The arrays are written while the class loads, and never again.
@SuppressWarnings("ImmutableEnumChecker")
enum SmcaBank {
    LOAD_STORE("load-store unit", EventKind.CACHE, new int[] {0xb0, 0}, SmcaWords.LOAD_STORE),
    LOAD_STORE_2("load-store unit", EventKind.CACHE, new int[] {0xb0, 0x10}, SmcaWords.LOAD_STORE_2),
    FETCH("instruction fetch unit", EventKind.CACHE, new int[] {0xb0, 1}, SmcaWords.FETCH),
    L2("L2 cache", EventKind.CACHE, new int[] {0xb0, 2}, SmcaWords.L2),
    DECODE("decode unit", EventKind.INTERNAL, new int[] {0xb0, 3}, SmcaWords.DECODE),
    EXECUTION("execution unit", EventKind.INTERNAL, new int[] {0xb0, 5}, SmcaWords.EXECUTION),
    FLOATING_POINT("floating-point unit", EventKind.INTERNAL, new int[] {0xb0, 6}, SmcaWords.FLOATING_POINT),
    L3("L3 cache", EventKind.CACHE, new int[] {0xb0, 7}, SmcaWords.L3),
    COHERENT_SLAVE("coherent station", EventKind.BUS, new int[] {0x2e, 0}, SmcaWords.COHERENT),
    COHERENT_SLAVE_2("coherent station", EventKind.BUS, new int[] {0x2e, 2}, SmcaWords.COHERENT_2),
    FABRIC("power, interrupts and fabric unit", EventKind.BUS, new int[] {0x2e, 1}, SmcaWords.FABRIC),
    MEMORY_CACHE("cache attached to memory", EventKind.CACHE, new int[] {0x2e, 4}, SmcaWords.NOTHING),
    MEMORY("memory controller", EventKind.MEMORY_ERROR, new int[] {0x96, 0}, SmcaWords.MEMORY),
    MEMORY_2("memory controller", EventKind.MEMORY_ERROR, new int[] {0x96, 1}, SmcaWords.MEMORY_2),
    PARAMETERS("parameter block", EventKind.INTERNAL, new int[] {0x05, 0}, SmcaWords.NOTHING),
    SECURITY("security processor", EventKind.INTERNAL, new int[] {0xff, 0}, SmcaWords.NOTHING),
    SECURITY_2("security processor", EventKind.INTERNAL, new int[] {0xff, 1}, SmcaWords.NOTHING),
    MANAGEMENT("system management unit", EventKind.INTERNAL, new int[] {0x01, 0}, SmcaWords.NOTHING),
    MANAGEMENT_2("system management unit", EventKind.INTERNAL, new int[] {0x01, 1}, SmcaWords.NOTHING),
    MICROPROCESSOR_5("microprocessor 5", EventKind.INTERNAL, new int[] {0x01, 2}, SmcaWords.NOTHING),
    MEMORY_DMA("memory DMA unit", EventKind.INTERNAL, new int[] {0x01, 3}, SmcaWords.NOTHING),
    NORTHBRIDGE("northbridge I/O unit", EventKind.BUS, new int[] {0x18, 0}, SmcaWords.NOTHING),
    PCIE("PCI Express unit", EventKind.PCIE, new int[] {0x46, 0}, SmcaWords.NOTHING),
    PCIE_2("PCI Express unit", EventKind.PCIE, new int[] {0x46, 1}, SmcaWords.NOTHING),
    XGMI("link between sockets", EventKind.BUS, new int[] {0x50, 0}, SmcaWords.NOTHING),
    NBIF("northbridge interface", EventKind.BUS, new int[] {0x6c, 0}, SmcaWords.NOTHING),
    HUB("system hub", EventKind.BUS, new int[] {0x80, 0}, SmcaWords.NOTHING),
    SATA("SATA unit", EventKind.BUS, new int[] {0xa8, 0}, SmcaWords.NOTHING),
    USB("USB unit", EventKind.BUS, new int[] {0xaa, 0}, SmcaWords.NOTHING),
    SHORT_REACH_DATA(
            "data plane of the ultra short reach link", EventKind.BUS, new int[] {0x170, 0}, SmcaWords.NOTHING),
    SHORT_REACH_CONTROL(
            "control plane of the ultra short reach link", EventKind.BUS, new int[] {0x180, 0}, SmcaWords.NOTHING),
    GMI("link between dies", EventKind.BUS, new int[] {0x241, 0}, SmcaWords.NOTHING),
    XGMI_PHY("physical link between sockets", EventKind.BUS, new int[] {0x259, 0}, SmcaWords.NOTHING),
    WAFL_PHY("physical WAFL link", EventKind.BUS, new int[] {0x267, 0}, SmcaWords.NOTHING),
    GMI_PHY("physical link between dies", EventKind.BUS, new int[] {0x269, 0}, SmcaWords.NOTHING);

    /** Extended error codes have six bits. */
    private static final int CODES = 64;

    /** Types above this one are not known. */
    private static final int TYPE_MAX = 0x10;

    /** By hardware ID, then by type. */
    private static final @Nullable SmcaBank[][] BY_ID = new @Nullable SmcaBank[0x1000][];

    private static final @Nullable SmcaBank[] NONE = new @Nullable SmcaBank[TYPE_MAX + 1];

    static {
        Arrays.fill(BY_ID, NONE);
        for (SmcaBank bank : values()) {
            if (BY_ID[bank.id[0]] == NONE) {
                BY_ID[bank.id[0]] = new @Nullable SmcaBank[TYPE_MAX + 1];
            }
            BY_ID[bank.id[0]][bank.id[1]] = bank;
        }
    }

    private final int[] id;
    private final ModelCode[] codes = new ModelCode[CODES];

    SmcaBank(String name, EventKind kind, int[] id, String[] words) {
        this.id = id;
        for (int code = 0; code < CODES; code++) {
            String phrase = code < words.length ? words[code] : "error " + code;
            codes[code] = ModelCode.of(kindOf(kind, phrase), phrase + " in the " + name);
        }
    }

    private static EventKind kindOf(EventKind kind, String phrase) {
        if (phrase.contains("poison")) {
            return EventKind.POISON;
        }
        return kind == EventKind.MEMORY_ERROR && (phrase.contains("parity") || phrase.contains("CRC"))
                ? EventKind.MEMORY_PARITY
                : kind;
    }

    /** By MCA_IPID; null if the type is not known. */
    static @Nullable SmcaBank of(long ipid) {
        int type = (int) (ipid >>> 48);
        return type <= TYPE_MAX ? BY_ID[(int) (ipid >>> 32 & 0xfff)][type] : null;
    }

    /** What an extended code means. */
    ModelCode code(long status) {
        return codes[Bits.field(status, 16, 21)];
    }

    /** Whether it drives memory modules. */
    boolean memoryController() {
        return this == MEMORY || this == MEMORY_2;
    }
}
