package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.EventKind;

/**
 * The architectural error code, bits 15:0 of IA32_MCi_STATUS: Intel SDM volume 3B, 16.9; AMD64 APM volume 2, 9.3.2, which has the same classes.
 *
 * @param type its class
 * @param kind what sort of event it is
 * @param words a phrase that stands alone
 * @param channel memory channel that the code itself names, 0 to 14; -1 if none
 */
public record McaCode(Type type, EventKind kind, String words, int channel) {
    /** The classes of codes. */
    public enum Type {
        NONE,
        SIMPLE,
        HIERARCHY,
        TLB,
        MEMORY_CONTROLLER,
        CACHE,
        MEMORY_CACHE,
        TIMER,
        INTERNAL,
        BUS,
        UNKNOWN
    }

    private static final String[] TRANSACTIONS = {"instruction", "data", "generic", "unspecified"};
    private static final String[] LEVELS = {"level-0", "level-1", "level-2", "unspecified-level"};
    private static final String[] REQUESTS = {
        "",
        " on a read",
        " on a write",
        " on a data read",
        " on a data write",
        " on an instruction fetch",
        " on a prefetch",
        " on an eviction",
        " on a snoop"
    };
    private static final String[] SIMPLE = {
        "no error",
        "unclassified error",
        "parity error in the microcode ROM",
        "error that another processor signalled",
        "processors that check each other disagree",
        "internal parity error",
        "code outside of the system management memory was run in system management mode"
    };
    private static final String[] MEMORY = {
        "memory error",
        "memory read error",
        "memory write error",
        "memory address or command error",
        "memory scrub error"
    };
    private static final String[] PARTICIPANTS = {
        "request of this processor", "response to this processor", "request that this processor observed", "request"
    };
    private static final String[] TARGETS = {"memory", "reserved space", "I/O", "other space"};

    private static final McaCode UNKNOWN =
            new McaCode(Type.UNKNOWN, EventKind.UNKNOWN, "machine check of an unknown code", -1);

    /** Code with bit 12, the filter bit, taken out and nothing above it, to what it means. */
    private static final McaCode[] TABLE = new McaCode[0x1000];

    static {
        for (int code = 0; code < TABLE.length; code++) {
            TABLE[code] = make(code);
        }
    }

    /** Decodes a code; only the low 16 bits count. */
    public static McaCode of(int code) {
        int index = code & 0xefff;
        return index < TABLE.length ? TABLE[index] : UNKNOWN;
    }

    private static McaCode make(int code) {
        int requests = code >> 4 & 15;
        String level = LEVELS[code & 3];
        String transaction = TRANSACTIONS[code >> 2 & 3];
        if (code <= 6) {
            return new McaCode(code == 0 ? Type.NONE : Type.SIMPLE, EventKind.INTERNAL, SIMPLE[code], -1);
        }
        if (code >= 0x0c && code <= 0x0f) {
            return new McaCode(Type.HIERARCHY, EventKind.CACHE, level + " error of the cache hierarchy", -1);
        }
        if (code >= 0x10 && code <= 0x1f) {
            return new McaCode(Type.TLB, EventKind.TLB, level + " " + transaction + " TLB error", -1);
        }
        if (code >= 0x80 && code <= 0xff) {
            return memory(Type.MEMORY_CONTROLLER, code, "");
        }
        if (code >= 0x100 && code <= 0x1ff) {
            String words = level + " " + transaction + " cache error" + request(requests);
            return new McaCode(Type.CACHE, EventKind.CACHE, words, -1);
        }
        if (code >= 0x280 && code <= 0x2ff) {
            return memory(Type.MEMORY_CACHE, code, " in memory used as a cache");
        }
        if (code == 0x400) {
            return new McaCode(
                    Type.TIMER, EventKind.TIMER, "internal timer error: no instruction retired for too long", -1);
        }
        if (code > 0x400 && code <= 0x7ff) {
            return new McaCode(Type.INTERNAL, EventKind.INTERNAL, "internal error", -1);
        }
        return code >= 0x800 ? bus(code, requests, level) : UNKNOWN;
    }

    private static String request(int number) {
        return number < REQUESTS.length ? REQUESTS[number] : " on request " + number;
    }

    private static McaCode memory(Type type, int code, String where) {
        int operation = code >> 4 & 7;
        int channel = (code & 15) == 15 ? -1 : code & 15;
        String what = operation < MEMORY.length ? MEMORY[operation] : "memory error on operation " + operation;
        EventKind kind =
                switch (operation) {
                    case 3 -> EventKind.MEMORY_PARITY;
                    case 4 -> EventKind.MEMORY_SCRUB;
                    default -> EventKind.MEMORY_ERROR;
                };
        return new McaCode(type, kind, what + where, channel);
    }

    private static McaCode bus(int code, int requests, String level) {
        if (code == 0xe0b) {
            return new McaCode(Type.BUS, EventKind.BUS, "I/O error of a device or its link", -1);
        }
        String words = level + " bus or link error" + request(requests) + ", " + PARTICIPANTS[code >> 9 & 3] + " to "
                + TARGETS[code >> 2 & 3] + ((code >> 8 & 1) != 0 ? ", timed out" : "");
        return new McaCode(Type.BUS, EventKind.BUS, words, -1);
    }
}
