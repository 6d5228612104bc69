package io.lockstep.replication.disk;

import java.nio.ByteBuffer;
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
 * they wait for the stream, but for those of a drain, which QEMU must be able to end: they have a reserve. While nobody takes, nothing waits:
 * writes are dropped, and {@link #lost()} says so.
 *
 * <p>Threads: {@link #write}, {@link #zeroes} any; the rest is the taker's, one thread. Nothing is allocated per write.
 */
final class DiskLog implements AutoCloseable {
    private static final int HEADER_BYTES = 24;
    /** What QEMU may have in flight to a disk when it drains, as a part of the log. */
    private static final int RESERVE_PART = 2;
    /** A write that waits for room looks again after this long, should the taker have gone. */
    private static final long RECHECK_MS = 100;

    private static final int DISK = 0;
    private static final int CONTENT = 4;
    private static final int OFFSET = 8;
    private static final int LENGTH = 16;

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

    /** Who takes the writes. */
    interface Taker {
        /** Content of a disk, valid during the call. */
        void write(int disk, long offset, long contentAddress, int length) throws Exception;

        /** Zeros. */
        void zeroes(int disk, long offset, long length) throws Exception;
    }

    /**
     * @param bytes of memory, a power of two of at least 8 MiB
     * @param filling told when more than a quarter is in use, by any thread
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
                lost = true;
                if (data != null) {
                    data.position(data.limit());
                }
                return;
            }
            long at = tail;
            putInt(at + DISK, disk);
            putInt(at + CONTENT, content);
            putLong(at + OFFSET, offset);
            putLong(at + LENGTH, length);
            if (data != null) {
                copyIn(data, at + HEADER_BYTES, content);
                data.position(data.limit());
            }
            tell = used() < capacity / 4 && used() + needed >= capacity / 4;
            tail = at + needed;
        } finally {
            lock.unlock();
        }
        if (tell) {
            filling.run();
        }
    }

    private void awaitRoom(long needed) throws NbdException {
        try {
            while (taking && used() + needed > (draining ? capacity : capacity / RESERVE_PART)) {
                filling.run();
                room.await(RECHECK_MS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NbdException(NbdException.ESHUTDOWN, "the server closes");
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

    /** While QEMU drains, its writes may use the reserve. */
    void draining(boolean on) {
        draining = on;
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

    /** Gives the taker what is before a place, and at most so many bytes of content; a record is never divided. */
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
                taken += content;
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
