package io.lockstep.replication.memory;

import io.lockstep.replication.RamBlock;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * One number for every 4 KiB page of all RAM blocks of a VM: the flat index. Blocks follow one another in their order; each begins at a
 * multiple of 64, so that no word of a bitmap over the flat index belongs to two blocks. Immutable; any thread.
 */
public final class PageIndex {
    private static final int PAGE_SHIFT = 12;
    private static final int ALIGNMENT = 64;

    private final List<MemoryRegion> regions;
    private final int[] firstFlat;
    /** Regions in order of their addresses, for the search. */
    private final int[] byAddress;

    private final long[] startByAddress;
    private final long[] endByAddress;
    private final int limit;

    /** @param regions the region of block i at position i; none overlaps another */
    public PageIndex(List<MemoryRegion> regions) {
        this.regions = List.copyOf(regions);
        int count = regions.size();
        firstFlat = new int[count];
        long next = 0;
        for (int i = 0; i < count; i++) {
            RamBlock block = regions.get(i).block();
            if (block.index() != i) {
                throw new IllegalArgumentException(
                        "RAM block " + block.name() + " has index " + block.index() + " != " + i);
            }
            firstFlat[i] = Math.toIntExact(next);
            next = (next + block.pageCount() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        limit = Math.toIntExact(next);
        byAddress = IntStream.range(0, count)
                .boxed()
                .sorted(Comparator.comparingLong(i -> regions.get(i).hostAddress()))
                .mapToInt(Integer::intValue)
                .toArray();
        startByAddress = new long[count];
        endByAddress = new long[count];
        for (int i = 0; i < count; i++) {
            startByAddress[i] = regions.get(byAddress[i]).hostAddress();
            endByAddress[i] = regions.get(byAddress[i]).hostEnd();
            if (i > 0 && startByAddress[i] < endByAddress[i - 1]) {
                throw new IllegalArgumentException(
                        regions.get(byAddress[i]) + " overlaps " + regions.get(byAddress[i - 1]));
            }
        }
    }

    /** The regions, in block order. */
    public List<MemoryRegion> regions() {
        return regions;
    }

    /** First number above all flat indexes; a multiple of 64. */
    public int limit() {
        return limit;
    }

    /** The flat index of a page of a block. */
    public int flat(int block, int page) {
        return firstFlat[block] + page;
    }

    /** The flat index of the page at an address of the process; -1 if it lies in no region. */
    public int flatOfAddress(long address) {
        int low = 0;
        int high = startByAddress.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            if (address < startByAddress[middle]) {
                high = middle - 1;
            } else if (address >= endByAddress[middle]) {
                low = middle + 1;
            } else {
                return firstFlat[byAddress[middle]] + (int) ((address - startByAddress[middle]) >>> PAGE_SHIFT);
            }
        }
        return -1;
    }

    /** Index of the block that a flat index belongs to. */
    public int block(int flat) {
        int low = 0;
        int high = firstFlat.length - 1;
        while (low < high) {
            int middle = (low + high + 1) >>> 1;
            if (flat < firstFlat[middle]) {
                high = middle - 1;
            } else {
                low = middle;
            }
        }
        return low;
    }

    /** Page number within its block of a flat index. */
    public int page(int flat) {
        return flat - firstFlat[block(flat)];
    }

    /** Address in the process of the page with a flat index. */
    public long hostAddress(int flat) {
        int block = block(flat);
        return regions.get(block).hostAddress() + ((long) (flat - firstFlat[block]) << PAGE_SHIFT);
    }
}
