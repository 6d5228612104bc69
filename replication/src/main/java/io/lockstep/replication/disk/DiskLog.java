package io.lockstep.replication.disk;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.agrona.BufferUtil;
import org.agrona.UnsafeApi;
import org.jspecify.annotations.Nullable;

/**
 * What the VM has written to its disks and the stream has not taken yet, in the order in which it came: a bounded ring of preallocated memory.
 *
 * <pre>
 *   taken ....... | mark: a boundary | ....... tail
 *   record: disk int | length int, negative: so many zeros to come | offset long | length long | content, to a multiple of 8
 * </pre>
 *
 * <p>Invariants: A write that has been answered is in the log, or was before. Up to a soft limit guests' writes are taken at once; beyond it
 * they wait for the stream, but for those of a drain, which QEMU must be able to end: they have a reserve. Those that find that full, too, wait
 * for a moment only, because who takes may be waiting for the drain. While nobody takes, nothing waits: writes are dropped, and {@link #lost()}
 * says so. What a copy has read never lands on a write that came after the reading began.
 *
 * <p>Threads: {@link #write}, {@link #zeroes}, {@link #flushed} any; {@link #beginCopy}, {@link #endCopy} one that copies; the rest is the taker's, one thread. Nothing is allocated per write.
 */
final class DiskLog implements AutoCloseable {
    private static final int HEADER_BYTES = 24;
    /** What QEMU may have in flight to a disk when it drains, as a part of the log. */
    private static final int RESERVE_PART = 2;
    /** A copy of what the disks hold leaves the rest of the log to the guests' writes. */
    private static final int COPY_PART = 4;
    /** Most that is copied at a time. */
    static final int COPY_BYTES_MAX = 1 << 20;

    static final int COPY_PAGE_BYTES = 4096;
    private static final int SECTOR_BYTES = 512;
    private static final int SECTORS = COPY_BYTES_MAX / SECTOR_BYTES;
    /** Every other sector was written meanwhile: as many records as there can be. */
    private static final int COPY_HEADERS_MAX = SECTORS / 2 * (HEADER_BYTES + Long.BYTES);
    /** So much of a copy is worth a wake-up. */
    private static final long COPY_TELL_BYTES = 1 << 20;

    /** How long a write waits for room in a drain: a guest stands still as long, and a session that begins takes nothing for less. */
    private static final long DRAIN_NS_MAX = 1_000_000_000;

    /** So many bytes of zeros cost the taker as much as one of content: they travel by the page. */
    private static final long ZEROES_PER_BYTE = 64;

    /** A write that waits for room looks again after this long, should the taker have gone. */
    private static final long RECHECK_MS = 100;

    private static final int DISK = 0;
    private static final int CONTENT = 4;
    private static final int OFFSET = 8;
    private static final int LENGTH = 16;

    private static final int DATA = 0;
    private static final int ZERO = 1;
    private static final int NEWER = 2;

    private final ByteBuffer memory;
    private final long address;
    private final long capacity;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition room = lock.newCondition();
    private final Runnable filling;
    private volatile long tail;
    private volatile long head;
    private volatile boolean taking;
    private volatile boolean draining;
    private volatile boolean lost;
    private volatile long flushedNs;
    /** What is being read of a disk, and which of its sectors were written since that began. Under the lock. */
    private int copiedDisk = -1;

    private long copiedOffset;
    private int copiedBytes;
    private final long[] newer = new long[SECTORS / Long.SIZE];

    /** Who takes the writes. */
    interface Taker {
        /** Content of a disk, valid during the call. */
        void write(int disk, long offset, long contentAddress, int length) throws Exception;

        /** Zeros. */
        void zeroes(int disk, long offset, long length) throws Exception;
    }

    /**
     * @param bytes of memory, a power of two of at least 8 MiB
     * @param filling told when more than a quarter is in use, and when the first write is dropped, by any thread
     */
    DiskLog(int bytes, Runnable filling) {
        memory = BufferUtil.allocateDirectAligned(bytes, 4096);
        address = BufferUtil.address(memory);
        capacity = bytes;
        this.filling = filling;
    }

    /** A guest's write, or one of the first copy. */
    void write(int disk, long offset, ByteBuffer data) throws NbdException {
        append(disk, offset, data.remaining(), data);
    }

    /** Zeros, of any length. */
    void zeroes(int disk, long offset, long length) throws NbdException {
        append(disk, offset, length, null);
    }

    private void append(int disk, long offset, long length, @Nullable ByteBuffer data) throws NbdException {
        int content = data == null ? 0 : data.remaining();
        long needed = HEADER_BYTES + aligned(content);
        boolean tell;
        lock.lock();
        try {
            awaitRoom(needed);
            if (!taking) {
                missed();
                if (data != null) {
                    data.position(data.limit());
                }
                return;
            }
            if (disk == copiedDisk) {
                noteNewer(offset, length);
            }
            long before = used();
            put(disk, offset, length, data);
            tell = before < capacity / 4 && used() >= capacity / 4;
        } finally {
            lock.unlock();
        }
        if (tell) {
            filling.run();
        }
    }

    private void put(int disk, long offset, long length, @Nullable ByteBuffer data) {
        int content = data == null ? 0 : data.remaining();
        long at = tail;
        putInt(at + DISK, disk);
        putInt(at + CONTENT, content);
        putLong(at + OFFSET, offset);
        putLong(at + LENGTH, length);
        if (data != null) {
            copyIn(data, at + HEADER_BYTES, content);
            data.position(data.limit());
        }
        tail = at + HEADER_BYTES + aligned(content);
    }

    /** A range of a disk is about to be read: what is written there from now on is newer than what will be read. */
    void beginCopy(int disk, long offset, int length) {
        lock.lock();
        try {
            copiedDisk = disk;
            copiedOffset = offset;
            copiedBytes = length;
            Arrays.fill(newer, 0);
        } finally {
            lock.unlock();
        }
    }

    private void noteNewer(long offset, long length) {
        long from = Math.max(offset, copiedOffset);
        long end = Math.min(offset + length, copiedOffset + copiedBytes);
        for (long at = from; at < end; at += SECTOR_BYTES) {
            int sector = (int) ((at - copiedOffset) / SECTOR_BYTES);
            newer[sector / Long.SIZE] |= 1L << sector;
        }
    }

    /**
     * Appends what was read since {@link #beginCopy}, but for what has been written meanwhile. Waits until the log has room for it.
     *
     * @param content as long as was said, from position on
     * @param zeroPages a bit for each {@link #COPY_PAGE_BYTES} that hold zeros only
     * @return false if nobody takes any more
     */
    boolean endCopy(ByteBuffer content, long[] zeroPages) throws InterruptedException {
        boolean tell;
        lock.lock();
        try {
            long needed = aligned(content.remaining()) + COPY_HEADERS_MAX;
            while (taking && used() + needed > capacity / COPY_PART) {
                filling.run();
                room.await(RECHECK_MS, TimeUnit.MILLISECONDS);
            }
            int disk = copiedDisk;
            copiedDisk = -1;
            if (!taking) {
                return false;
            }
            long before = used();
            int base = content.position();
            int sectors = (content.remaining() + SECTOR_BYTES - 1) / SECTOR_BYTES;
            for (int from = 0; from < sectors; ) {
                int kind = kind(from, zeroPages);
                int end = from + 1;
                while (end < sectors && kind(end, zeroPages) == kind) {
                    end++;
                }
                int bytes = Math.min(end * SECTOR_BYTES, content.limit() - base) - from * SECTOR_BYTES;
                if (kind != NEWER) {
                    content.position(base + from * SECTOR_BYTES);
                    ByteBuffer part = kind == ZERO ? null : content.slice().limit(bytes);
                    put(disk, copiedOffset + (long) from * SECTOR_BYTES, bytes, part);
                }
                from = end;
            }
            tell = before < COPY_TELL_BYTES && used() >= COPY_TELL_BYTES;
        } finally {
            lock.unlock();
        }
        if (tell) {
            filling.run();
        }
        return true;
    }

    private int kind(int sector, long[] zeroPages) {
        if ((newer[sector / Long.SIZE] & 1L << sector) != 0) {
            return NEWER;
        }
        int page = sector / (COPY_PAGE_BYTES / SECTOR_BYTES);
        return (zeroPages[page / Long.SIZE] & 1L << page) != 0 ? ZERO : DATA;
    }

    private void awaitRoom(long needed) throws NbdException {
        try {
            long fullNs = 0;
            while (taking && used() + needed > (draining ? capacity : capacity / RESERVE_PART)) {
                long nowNs = System.nanoTime();
                boolean full = draining && used() + needed > capacity;
                fullNs = !full ? 0 : fullNs == 0 ? nowNs : fullNs;
                if (full && nowNs - fullNs > DRAIN_NS_MAX) {
                    // The guest stands still meanwhile. The mirror breaks, and the disks are copied anew.
                    taking = false;
                    missed();
                    room.signalAll();
                    return;
                }
                filling.run();
                room.await(RECHECK_MS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NbdException(NbdException.ESHUTDOWN, "the server closes");
        }
    }

    /** A write was dropped: the taker is told once. */
    private void missed() {
        if (!lost) {
            lost = true;
            filling.run();
        }
    }

    private long used() {
        return tail - head;
    }

    private static long aligned(int bytes) {
        return (bytes + 7L) & ~7L;
    }

    private void copyIn(ByteBuffer data, long at, int bytes) {
        long from = BufferUtil.address(data) + data.position();
        long to = at & capacity - 1;
        long first = Math.min(bytes, capacity - to);
        // SAFETY: the caller's buffer is direct and has bytes remaining; both parts lie within this log's memory.
        UnsafeApi.copyMemory(from, address + to, first);
        UnsafeApi.copyMemory(from + first, address, bytes - first);
    }

    // SAFETY of the four: records begin at multiples of 8, and the capacity is one, so that no field crosses its end.
    private void putInt(long at, int value) {
        UnsafeApi.putInt(address + (at & capacity - 1), value);
    }

    private void putLong(long at, long value) {
        UnsafeApi.putLong(address + (at & capacity - 1), value);
    }

    private int getInt(long at) {
        return UnsafeApi.getInt(address + (at & capacity - 1));
    }

    private long getLong(long at) {
        return UnsafeApi.getLong(address + (at & capacity - 1));
    }

    /** From now on writes wait to be taken. */
    void begin() {
        lock.lock();
        try {
            head = tail;
            copiedDisk = -1;
            lost = false;
            taking = true;
        } finally {
            lock.unlock();
        }
    }

    /** Nobody takes any more: writes are dropped. */
    void end() {
        lock.lock();
        try {
            taking = false;
            lost |= head != tail;
            head = tail;
            room.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Whether writes were dropped since {@link #begin}. */
    boolean lost() {
        return lost;
    }

    /** A flush of a mirror was answered. Any thread. */
    void flushed(long nowNs) {
        flushedNs = nowNs;
    }

    /** When that was last so, {@link System#nanoTime()}; 0 if never. */
    long flushedNs() {
        return flushedNs;
    }

    /** While QEMU drains, its writes may use the reserve, those that wait for room already included. */
    void draining(boolean on) {
        draining = on;
        if (on) {
            wake();
        }
    }

    /** Where the log ends now: in a hold, the boundary. */
    long tail() {
        return tail;
    }

    /** Whether something waits before a place. */
    boolean waits(long until) {
        return head < until;
    }

    /** Bytes that wait. */
    long waitingBytes() {
        return used();
    }

    /** Gives the taker what is before a place, and at most so many bytes of content or what costs as much; a record is never divided. */
    void take(long until, long bytesMax, Taker taker) throws Exception {
        long at = head;
        long taken = 0;
        try {
            while (at < until && taken < bytesMax) {
                int disk = getInt(at + DISK);
                int content = getInt(at + CONTENT);
                long offset = getLong(at + OFFSET);
                long length = getLong(at + LENGTH);
                if (content == 0) {
                    taker.zeroes(disk, offset, length);
                } else {
                    long from = at + HEADER_BYTES & capacity - 1;
                    int first = (int) Math.min(content, capacity - from);
                    taker.write(disk, offset, address + from, first);
                    if (first < content) {
                        taker.write(disk, offset + first, address, content - first);
                    }
                }
                at += HEADER_BYTES + aligned(content);
                taken += content == 0 ? length / ZEROES_PER_BYTE : content;
            }
        } finally {
            head = at;
            wake();
        }
    }

    private void wake() {
        lock.lock();
        try {
            room.signalAll();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        end();
    }
}
