package io.lockstep.replication.memory;

import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.PagemapScan;
import java.lang.invoke.VarHandle;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Where PAGEMAP_SCAN puts the ranges that it found and protected again. It may lie in a {@link DirtyLedger}, so that they outlive this
 * process. Between scans every entry's start is 0. One thread at a time.
 */
public final class ScanVector {
    /** 16,384 ranges × 24 bytes = 384 KiB; a scan that finds more goes on in a further call. */
    public static final int ENTRIES_DEFAULT = 16_384;

    private final long address;
    private final int entryCount;
    private final UnsafeBuffer buffer;

    /** In memory of its own, which dies with this process. */
    public ScanVector(int entryCount) {
        NativeBlock block = new NativeBlock(entryCount * PagemapScan.ENTRY_BYTES);
        this.address = block.address();
        this.entryCount = entryCount;
        // SAFETY: the whole block; the buffer holds its memory.
        this.buffer = new UnsafeBuffer(block.buffer());
    }

    /** @param address zeroed memory of entryCount × {@link PagemapScan#ENTRY_BYTES}, valid as long as this object is used */
    ScanVector(long address, int entryCount) {
        this.address = address;
        this.entryCount = entryCount;
        // SAFETY: the caller vouches for the address and length.
        this.buffer = new UnsafeBuffer(address, entryCount * PagemapScan.ENTRY_BYTES);
    }

    /** A part of another one, for a thread of its own. */
    private ScanVector(ScanVector whole, int firstEntry, int entryCount) {
        this.address = whole.address + (long) firstEntry * PagemapScan.ENTRY_BYTES;
        this.entryCount = entryCount;
        // SAFETY: bounds are checked against the whole, whose memory this buffer keeps.
        this.buffer = new UnsafeBuffer(
                whole.buffer, firstEntry * PagemapScan.ENTRY_BYTES, entryCount * PagemapScan.ENTRY_BYTES);
    }

    /** The part with this index when it is cut into so many equal ones; each may be used by a thread of its own. */
    ScanVector part(int index, int count) {
        int entries = entryCount / count;
        return new ScanVector(this, index * entries, entries);
    }

    /** For the kernel. */
    public long address() {
        return address;
    }

    /** Ranges that it holds. */
    public int entryCount() {
        return entryCount;
    }

    /** Start of a range, 0 if there is none. */
    public long start(int entry) {
        return buffer.getLong(entry * PagemapScan.ENTRY_BYTES);
    }

    /** End of a range. */
    public long end(int entry) {
        return buffer.getLong(entry * PagemapScan.ENTRY_BYTES + Long.BYTES);
    }

    /** Hands the first count ranges on, and forgets them only when all of them have been taken. */
    public void moveTo(DirtyRanges into, int count) {
        for (int i = 0; i < count; i++) {
            into.add(start(i), end(i));
        }
        clear(count);
    }

    /** Forgets the first count ranges. What was stored before, anywhere, is in memory before the first of them is gone. */
    void clear(int count) {
        VarHandle.fullFence();
        for (int i = 0; i < count; i++) {
            buffer.putLong(i * PagemapScan.ENTRY_BYTES, 0);
        }
        // The next scan fills the vector only after this.
        VarHandle.fullFence();
    }
}
