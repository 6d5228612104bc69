package io.lockstep.replication.memory;

import io.lockstep.replication.RamBlock;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * From what a scan lists of one region, the ranges to arm so that hot pages stay unarmed. Capture thread only; allocates nothing.
 *
 * <p>Invariants: every listed page that is not hot lies in a range. A range may hold pages that were not listed, and, when there are too many
 * ranges, or in a huge page, hot ones: whoever arms a range hands on all that this lists. Ranges begin and end at pages of the region's backing: the
 * kernel does not arm a huge page in part, {@code pagemap_scan_hugetlb_entry} in fs/proc/task_mmu.c.
 */
final class ColdRanges implements DirtyRanges {
    /** Each costs a system call and a flush of the TLBs: together about as much as arming a region of 256 MiB that is written all over. */
    static final int RANGES_MAX = 64;

    private final int[] from = new int[RANGES_MAX];
    private final int[] end = new int[RANGES_MAX];
    private int count;
    private @Nullable HotPages hot;
    private int firstFlat;
    private int unit;
    private long firstAddress;
    private @Nullable DirtyRanges hotInto;

    /**
     * Begins with a region.
     *
     * @param hotInto takes what is listed and hot
     */
    void begin(HotPages hot, MemoryRegion region, DirtyRanges hotInto) {
        this.hot = hot;
        this.firstFlat = hot.index().flat(region.block().index(), 0);
        this.unit = region.block().pageBytes() / RamBlock.PAGE_BYTES;
        this.firstAddress = region.hostAddress();
        this.hotInto = hotInto;
        this.count = 0;
    }

    /** Ranges to arm. */
    int count() {
        return count;
    }

    /** Where a range begins. */
    long start(int range) {
        return address(from[range]);
    }

    /** Where it ends. */
    long end(int range) {
        return address(end[range]);
    }

    @Override
    public void add(long startAddress, long endAddress) {
        HotPages pages = Objects.requireNonNull(hot, "begun");
        DirtyRanges into = Objects.requireNonNull(hotInto, "begun");
        int last = flat(endAddress);
        for (int flat = flat(startAddress); flat < last; ) {
            boolean isHot = pages.contains(flat);
            int runEnd = flat + 1;
            while (runEnd < last && pages.contains(runEnd) == isHot) {
                runEnd++;
            }
            if (isHot) {
                into.add(address(flat), address(runEnd));
            } else {
                addCold(pages, flat, runEnd);
            }
            flat = runEnd;
        }
    }

    /** Ranges need not come in order: several threads find them. */
    private void addCold(HotPages pages, int listedFirst, int listedEnd) {
        int first = firstFlat + (listedFirst - firstFlat) / unit * unit;
        int last = firstFlat + (listedEnd - firstFlat + unit - 1) / unit * unit;
        int top = count - 1;
        if (count > 0 && first >= from[top] && first <= end[top]) {
            end[top] = Math.max(end[top], last);
        } else if (count > 0 && first > end[top] && !pages.any(end[top], first)) {
            end[top] = last;
        } else if (count == RANGES_MAX) {
            from[top] = Math.min(from[top], first);
            end[top] = Math.max(end[top], last);
        } else {
            from[count] = first;
            end[count] = last;
            count++;
        }
    }

    private int flat(long address) {
        return firstFlat + (int) ((address - firstAddress) / RamBlock.PAGE_BYTES);
    }

    private long address(int flat) {
        return firstAddress + (long) (flat - firstFlat) * RamBlock.PAGE_BYTES;
    }
}
