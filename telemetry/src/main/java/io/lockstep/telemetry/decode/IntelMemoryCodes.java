package io.lockstep.telemetry.decode;

import static io.lockstep.telemetry.event.EventKind.MEMORY_ERROR;
import static io.lockstep.telemetry.event.EventKind.MEMORY_PARITY;
import static io.lockstep.telemetry.event.EventKind.MEMORY_SCRUB;
import static io.lockstep.telemetry.event.EventKind.MEMORY_SPARE;
import static io.lockstep.telemetry.event.EventKind.MIRROR_BROKEN;
import static io.lockstep.telemetry.event.EventKind.MIRROR_SECOND;
import static io.lockstep.telemetry.event.EventKind.POISON;

import io.lockstep.telemetry.event.EventKind;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * MSCOD, bits 31:16 of IA32_MCi_STATUS, of Intel's memory controllers: SDM volume 3B, chapter 17 (tables "Machine Check Error Codes …, IMC"), one
 * table for each family of controllers.
 */
final class IntelMemoryCodes {
    /** Sandy Bridge to Broadwell: one bit each. */
    static final IntelMemoryCodes BITS_2012 = new IntelMemoryCodes()
            .add(0x001, MEMORY_PARITY, "memory address parity error")
            .lose(0x002, MEMORY_PARITY, "parity error in data to be written to memory")
            .lose(0x004, MEMORY_PARITY, "parity error in byte enables of a memory write")
            .patrol()
            .add(0x080, MEMORY_ERROR, "memory read error")
            .lose(0x100, MEMORY_PARITY, "parity error in the memory write buffer")
            .add(0x200, MEMORY_PARITY, "parity error of a DDR4 command or address")
            .combined(0x3ff);

    /** Skylake, Cascade Lake and Cooper Lake: bits up to 10, values from 0x800. */
    static final IntelMemoryCodes BITS_2017 = new IntelMemoryCodes()
            .addAll(BITS_2012)
            .lose(0x400, MEMORY_PARITY, "uncorrected memory address parity error")
            .combined(0x7ff)
            .add(0x800, MEMORY_ERROR, "memory request of an unknown type")
            .add(0x801, MEMORY_ERROR, "memory read response that nobody waited for")
            .add(0x802, MEMORY_ERROR, "unexpected memory read response")
            .add(0x803, MEMORY_ERROR, "DDR4 completion that nobody waited for")
            .add(0x804, MEMORY_ERROR, "memory completion that nobody waited for")
            .add(0x805, MEMORY_ERROR, "overflow of the memory completion queue")
            .add(0x806, MEMORY_PARITY, "correctable parity error of persistent memory")
            .lose(0x807, MEMORY_ERROR, "uncorrectable error of persistent memory")
            .add(0x808, MEMORY_ERROR, "interrupt of persistent memory before the last one was answered")
            .add(0x809, MEMORY_ERROR, "overflow of persistent memory's response queue")
            .add(0x80a, MEMORY_ERROR, "wrong write credits of persistent memory")
            .add(0x80b, MEMORY_ERROR, "wrong read credits of persistent memory")
            .add(0x80c, MEMORY_ERROR, "scheduler error of persistent memory")
            .add(0x80d, MEMORY_ERROR, "error event of persistent memory");

    /** Ice Lake, Sapphire Rapids and Emerald Rapids: values. */
    static final IntelMemoryCodes VALUES_2021 = new IntelMemoryCodes()
            .values()
            .add(0x200, MEMORY_PARITY, "parity error of a memory command or address")
            .add(0x220, MEMORY_PARITY, "parity error of an HBM command or address")
            .add(0x221, MEMORY_PARITY, "HBM data parity error")
            .add(0x400, MEMORY_PARITY, "parity error in the read queue")
            .add(0x404, MEMORY_PARITY, "parity error in the write queue")
            .add(0x408, MEMORY_PARITY, "parity error in the read buffer")
            .lose(0x82a, MEMORY_ERROR, "integrity error of encrypted memory")
            .lose(0x82d, POISON, "poisoned key of encrypted memory")
            .add(0x1008, MIRROR_SECOND, "corrected patrol scrub error in the second copy of mirrored memory")
            .lose(0x1010, MIRROR_SECOND, "uncorrected patrol scrub error in the second copy of mirrored memory")
            .add(0x1020, MIRROR_SECOND, "corrected error while sparing the second copy of mirrored memory")
            .lose(0x1040, MIRROR_SECOND, "uncorrected error while sparing the second copy of mirrored memory")
            .add(0x1080, MIRROR_SECOND, "read error in the second copy of mirrored memory")
            .lose(0x10a0, MIRROR_BROKEN, "uncorrected read error in the second copy of mirrored memory");

    /** Granite Rapids and Sierra Forest: values. */
    static final IntelMemoryCodes VALUES_2024 = new IntelMemoryCodes()
            .values()
            .add(0x005, MEMORY_PARITY, "parity error of the authentication code of a memory write")
            .lose(0x0b0, POISON, "poison read from memory while the controller has poison turned off")
            .add(0x102, MEMORY_ERROR, "ECC error in the memory write buffer")
            .add(0x104, MEMORY_PARITY, "parity error in byte enables of the memory write buffer")
            .add(0x106, MEMORY_ERROR, "persistent corrected ECC error in the memory write buffer")
            .add(0x109, MEMORY_ERROR, "illegal memory request")
            .add(0x200, MEMORY_PARITY, "parity error of a DDR5 command or address, or CRC error of a write")
            .add(0x400, MEMORY_PARITY, "address parity error in the memory scheduler")
            .add(0x832, MEMORY_ERROR, "internal error of the memory controller")
            .add(0x833, MEMORY_PARITY, "address parity error in the memory tracker");

    /** Low bits of a value to its meaning; the largest code is below 0x1100. */
    private final @Nullable ModelCode[] table = new @Nullable ModelCode[0x1100];

    private final Map<Integer, ModelCode> added = new HashMap<>();

    private IntelMemoryCodes() {}

    /** What a code means; null if it is not known. Of several bits, the worst. */
    @Nullable
    ModelCode get(int mscod) {
        return mscod >= 0 && mscod < table.length ? table[mscod] : null;
    }

    /** Gives codes of several bits the meaning of the lowest bit that stands for lost data, or else of the lowest bit. */
    private IntelMemoryCodes combined(int codeMax) {
        for (int code = 1; code <= codeMax; code++) {
            for (int bit = 1; bit <= code && table[code] == null; bit <<= 1) {
                ModelCode single = added.get(bit);
                table[code] = (code & bit) != 0 && single != null && single.lost() ? single : null;
            }
            table[code] = table[code] == null ? added.get(Integer.lowestOneBit(code)) : table[code];
        }
        return this;
    }

    private IntelMemoryCodes patrol() {
        return add(0x008, MEMORY_SCRUB, "corrected patrol scrub error")
                .lose(0x010, MEMORY_SCRUB, "uncorrected patrol scrub error")
                .add(0x020, MEMORY_SPARE, "corrected error while memory is copied to a spare")
                .lose(0x040, MEMORY_SPARE, "uncorrected error while memory is copied to a spare");
    }

    private IntelMemoryCodes values() {
        return patrol().add(0x001, MEMORY_PARITY, "memory address parity error")
                .add(0x002, MEMORY_PARITY, "parity error in data to be written to memory")
                .add(0x003, MEMORY_ERROR, "ECC error in data to be written to memory")
                .add(0x004, MEMORY_PARITY, "parity error in byte enables of a memory write")
                .add(0x007, MEMORY_PARITY, "parity error of a memory transaction's number")
                .add(0x080, MEMORY_ERROR, "corrected memory read error")
                .lose(0x0a0, MEMORY_ERROR, "uncorrected memory read error")
                .lose(0x0c0, MEMORY_ERROR, "uncorrected error of memory's metadata")
                .add(0x100, MEMORY_PARITY, "parity error in the memory write buffer")
                .add(0x108, MEMORY_ERROR, "failure of the link to the memory module");
    }

    private IntelMemoryCodes addAll(IntelMemoryCodes other) {
        other.added.forEach(this::put);
        return this;
    }

    private IntelMemoryCodes add(int mscod, EventKind kind, String words) {
        return put(mscod, ModelCode.of(kind, words));
    }

    private IntelMemoryCodes lose(int mscod, EventKind kind, String words) {
        return put(mscod, ModelCode.lost(kind, words));
    }

    private IntelMemoryCodes put(int mscod, ModelCode code) {
        added.put(mscod, code);
        table[mscod] = code;
        return this;
    }
}
