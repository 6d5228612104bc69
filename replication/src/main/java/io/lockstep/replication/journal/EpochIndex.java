package io.lockstep.replication.journal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The committed epochs of a journal, oldest first, in memory. Numbers ascend. Holds at most {@link #ENTRIES_MAX}; beyond that the oldest
 * are forgotten here though their segments stay. Any thread; adding allocates nothing.
 */
final class EpochIndex {
    static final int ENTRIES_MAX = 1 << 16; // 40 epochs/s × 10 min = 24,000, doubled and rounded up; × 48 B = 3 MiB

    private static final int FIELDS = 6;

    /** Out of the heap: of each replica it would fill 3 % of that. */
    private final LongBuffer ring = ByteBuffer.allocateDirect(ENTRIES_MAX * FIELDS * Long.BYTES)
            .order(ByteOrder.nativeOrder())
            .asLongBuffer();

    private long first;
    private long next;

    synchronized void add(long epoch, long wallMs, long pages, long bytes, long beginIndex, long endIndex) {
        if (next - first == ENTRIES_MAX) {
            first++;
        }
        int at = at(next);
        ring.put(at, epoch);
        ring.put(at + 1, wallMs);
        ring.put(at + 2, pages);
        ring.put(at + 3, bytes);
        ring.put(at + 4, beginIndex);
        ring.put(at + 5, endIndex);
        next++;
    }

    /** Number of the newest epoch, -1 if there is none. */
    synchronized long newest() {
        return next == first ? -1 : ring.get(at(next - 1));
    }

    /** Number of the oldest epoch, -1 if there is none. */
    synchronized long oldest() {
        return next == first ? -1 : ring.get(at(first));
    }

    synchronized int size() {
        return (int) (next - first);
    }

    /** Index of the epoch's EpochBegin, -1 if it is not here. */
    synchronized long beginIndex(long epoch) {
        long position = find(epoch);
        return position < 0 ? -1 : ring.get(at(position) + 4);
    }

    /** Index of the epoch's EpochEnd, -1 if it is not here. */
    synchronized long endIndex(long epoch) {
        long position = find(epoch);
        return position < 0 ? -1 : ring.get(at(position) + 5);
    }

    synchronized @Nullable EpochEntry get(long epoch) {
        long position = find(epoch);
        return position < 0 ? null : entry(position);
    }

    /** The last epochs, newest first. */
    synchronized List<EpochEntry> newestFirst(int limit) {
        List<EpochEntry> list = new ArrayList<>();
        for (long i = next - 1; i >= first && list.size() < limit; i--) {
            list.add(entry(i));
        }
        return list;
    }

    /** Forgets the epochs that begin before this journal index. */
    synchronized void dropBefore(long index) {
        while (first < next && ring.get(at(first) + 4) < index) {
            first++;
        }
    }

    /** Forgets this epoch and all after it. */
    synchronized void dropFrom(long epoch) {
        while (next > first && ring.get(at(next - 1)) >= epoch) {
            next--;
        }
    }

    synchronized void clear() {
        first = next;
    }

    private EpochEntry entry(long position) {
        int at = at(position);
        return new EpochEntry(
                ring.get(at), ring.get(at + 1), ring.get(at + 2), ring.get(at + 3), ring.get(at + 4), ring.get(at + 5));
    }

    private long find(long epoch) {
        long low = first;
        long high = next - 1;
        while (low <= high) {
            long middle = (low + high) >>> 1;
            long found = ring.get(at(middle));
            if (found < epoch) {
                low = middle + 1;
            } else if (found > epoch) {
                high = middle - 1;
            } else {
                return middle;
            }
        }
        return -1;
    }

    private static int at(long position) {
        return (int) (position & (ENTRIES_MAX - 1)) * FIELDS;
    }
}
