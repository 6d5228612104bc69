package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteOrder;
import org.agrona.UnsafeApi;

/**
 * Whole pages at raw addresses.
 *
 * <p>SAFETY, for every method: each address is the start of a page of 4096 bytes inside a direct buffer that the caller
 * owns and keeps reachable during the call.
 */
final class PageBytes {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int STRIDE = 64;

    static {
        if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
            throw new ExceptionInInitializerError("deltas are found on little-endian machines only");
        }
    }

    private PageBytes() {}

    /** Whether all 4096 bytes are zero; leaves at the first 64 bytes that are not. */
    static boolean isZero(long address) {
        // SAFETY: reads address .. address + 4095, see above.
        for (int i = 0; i < PAGE_BYTES; i += STRIDE) {
            long at = address + i;
            long any = UnsafeApi.getLong(at)
                    | UnsafeApi.getLong(at + 8)
                    | UnsafeApi.getLong(at + 16)
                    | UnsafeApi.getLong(at + 24)
                    | UnsafeApi.getLong(at + 32)
                    | UnsafeApi.getLong(at + 40)
                    | UnsafeApi.getLong(at + 48)
                    | UnsafeApi.getLong(at + 56);
            if (any != 0) {
                return false;
            }
        }
        return true;
    }

    /** Offset of the first 64-byte stride from {@code from} on, a multiple of 8, that differs; more than 4096 - 64 if none does. */
    static int differingStride(long a, long b, int from) {
        // SAFETY: reads both pages up to byte 4095 and not beyond, see above.
        int i = from;
        for (; i <= PAGE_BYTES - STRIDE; i += STRIDE) {
            long p = a + i;
            long q = b + i;
            long any = (UnsafeApi.getLong(p) ^ UnsafeApi.getLong(q))
                    | (UnsafeApi.getLong(p + 8) ^ UnsafeApi.getLong(q + 8))
                    | (UnsafeApi.getLong(p + 16) ^ UnsafeApi.getLong(q + 16))
                    | (UnsafeApi.getLong(p + 24) ^ UnsafeApi.getLong(q + 24))
                    | (UnsafeApi.getLong(p + 32) ^ UnsafeApi.getLong(q + 32))
                    | (UnsafeApi.getLong(p + 40) ^ UnsafeApi.getLong(q + 40))
                    | (UnsafeApi.getLong(p + 48) ^ UnsafeApi.getLong(q + 48))
                    | (UnsafeApi.getLong(p + 56) ^ UnsafeApi.getLong(q + 56));
            if (any != 0) {
                return i;
            }
        }
        return i;
    }

    /** Whether two pages are the same. */
    static boolean same(long a, long b) {
        return differingStride(a, b, 0) >= PAGE_BYTES;
    }

    /** Copies a page. */
    static void copy(long from, long to) {
        // SAFETY: both pages are whole and do not overlap, see above.
        UnsafeApi.copyMemory(from, to, PAGE_BYTES);
    }

    /** Makes a page zero. */
    static void zero(long address) {
        // SAFETY: writes address .. address + 4095, see above.
        UnsafeApi.setMemory(address, PAGE_BYTES, (byte) 0);
    }
}
