package io.lockstep.telemetry.decode;

/** Bits of 64-bit registers; numbered from 0, the lowest. */
final class Bits {
    private Bits() {}

    /** Whether a bit is set. */
    static boolean set(long value, int bit) {
        return (value >>> bit & 1) != 0;
    }

    /** The bits from low to high, both included, at most 31 of them. */
    static int field(long value, int low, int high) {
        return (int) (value >>> low & (1L << (high - low + 1)) - 1);
    }
}
