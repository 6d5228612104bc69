package io.lockstep.replication.pipeline;

import java.nio.ByteBuffer;
import org.agrona.BufferUtil;

/** Direct memory that begins at a page and can be given back: an aligned buffer is a slice, and a slice cannot be freed. Owner's thread. */
final class AlignedMemory {
    /** Alignment of page slots, and of what is read into at once. */
    private static final int ALIGNMENT = 4096;

    private final ByteBuffer whole;
    private final ByteBuffer aligned;

    AlignedMemory(int bytes) {
        whole = ByteBuffer.allocateDirect(Math.addExact(bytes, ALIGNMENT));
        int offset = (int) (-BufferUtil.address(whole) & (ALIGNMENT - 1));
        aligned = whole.slice(offset, bytes);
    }

    /** The aligned part; not to be used after {@link #free}. */
    ByteBuffer buffer() {
        return aligned;
    }

    /** Gives it back; once. */
    void free() {
        BufferUtil.free(whole);
    }
}
