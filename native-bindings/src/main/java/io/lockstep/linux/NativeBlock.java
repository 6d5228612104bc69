package io.lockstep.linux;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Zeroed memory outside the heap at a fixed address, for the kernel to read and write. It lives as long as this object is reachable, so
 * its user keeps it in a field for as long as the address is used.
 */
public final class NativeBlock {
    private final ByteBuffer buffer;
    private final long address;

    /** @param bytes above 0 */
    public NativeBlock(int bytes) {
        buffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
        // SAFETY: a direct buffer does not move, and its memory is freed only with the buffer, which this object holds.
        address = Pointer.nativeValue(Native.getDirectBufferPointer(buffer));
    }

    /** Address of the first byte. */
    public long address() {
        return address;
    }

    /** The whole memory in native byte order; use absolute access. */
    public ByteBuffer buffer() {
        return buffer;
    }

    /** Length in bytes. */
    public int length() {
        return buffer.capacity();
    }
}
