package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.RamBlock;
import java.util.List;
import net.jpountz.xxhash.XXHash64;
import net.jpountz.xxhash.XXHashFactory;

/**
 * Finds written pages by reading all of them and comparing hashes (XXH64) with those of the last scan: the last resort, it needs nothing
 * but process_vm_readv(2). A scan takes about a second for 4 GiB, and 8 bytes of heap per page are kept. Scans must happen at a stop
 * that lasts until the listed pages are copied. A page whose new content has the same hash is missed: chance 2^-64 each.
 */
public final class ContentHashTracker implements DirtyTracker {
    /** Its name in configuration and reports. */
    public static final String NAME = "content-hash";

    /** One read: 256 pages, 1 MiB. */
    private static final int CHUNK_PAGES = 256;

    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    private final List<MemoryRegion> regions;
    private final RemoteMemory memory;
    private final XXHash64 hash = XXHashFactory.fastestInstance().hash64();
    private final NativeBlock chunk = new NativeBlock(CHUNK_PAGES * PAGE_BYTES);
    private final long[][] hashes;
    private boolean first = true;

    /** Reads nothing until the first scan, which lists every page. */
    public ContentHashTracker(long pid, List<MemoryRegion> regions) {
        this.regions = List.copyOf(regions);
        this.memory = new RemoteMemory(pid);
        this.hashes = new long[regions.size()][];
        for (int i = 0; i < hashes.length; i++) {
            hashes[i] = new long[regions.get(i).block().pageCount()];
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void scanAndArm(DirtyRanges into) throws LinuxException {
        scan(into, true);
        first = false;
    }

    @Override
    public void peek(DirtyRanges into) throws LinuxException {
        scan(into, false);
    }

    private void scan(DirtyRanges into, boolean arm) throws LinuxException {
        for (int i = 0; i < hashes.length; i++) {
            scanRegion(regions.get(i), hashes[i], into, arm);
        }
    }

    private void scanRegion(MemoryRegion region, long[] known, DirtyRanges into, boolean arm) throws LinuxException {
        int rangeStart = -1;
        for (int page = 0; page < known.length; page += CHUNK_PAGES) {
            int pages = Math.min(CHUNK_PAGES, known.length - page);
            // SAFETY: at most CHUNK_PAGES pages into the block of that length, which this object holds.
            memory.read(region.hostAddress() + (long) page * PAGE_BYTES, chunk.address(), (long) pages * PAGE_BYTES);
            for (int i = 0; i < pages; i++) {
                long value = hash.hash(chunk.buffer(), i * PAGE_BYTES, PAGE_BYTES, 0);
                boolean changed = first || value != known[page + i];
                if (arm) {
                    known[page + i] = value;
                }
                if (changed && rangeStart < 0) {
                    rangeStart = page + i;
                } else if (!changed && rangeStart >= 0) {
                    add(region, rangeStart, page + i, into);
                    rangeStart = -1;
                }
            }
        }
        if (rangeStart >= 0) {
            add(region, rangeStart, known.length, into);
        }
    }

    private static void add(MemoryRegion region, int from, int end, DirtyRanges into) {
        into.add(region.hostAddress() + (long) from * PAGE_BYTES, region.hostAddress() + (long) end * PAGE_BYTES);
    }

    @Override
    public boolean armsAtomically() {
        return false;
    }

    @Override
    public boolean survivesRestart() {
        return false;
    }

    @Override
    public void detach() {
        // Nothing was changed in the watched process.
    }

    @Override
    public void close() {
        // No descriptors are held.
    }
}
