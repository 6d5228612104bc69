package io.lockstep.replication.memory;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.PagemapScan;
import io.lockstep.linux.SharedMapping;
import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Which pages were taken off the tracker and are not yet acknowledged by the peer, in a file on tmpfs that outlives this process.
 *
 * <p><b>Every page written since the last acknowledged epoch is always reported by the tracker's next scan, or in a bitmap, or in the
 * scan vector.</b> A page leaves the tracker only when PAGEMAP_SCAN protects it again. In the same call the kernel puts its range in the
 * vector, which is mapped from this file: a call that a SIGKILL interrupts still copies out all that it protected before it returns.
 * A range leaves the vector only after its bits are in the epoch's bitmap, with a fence in between ({@link ScanVector}). A bit leaves a
 * bitmap only when its epoch is acknowledged, or after it is in another bitmap. A bitmap is cleared before its slot is free, so a slot in
 * use may hold too little only of an epoch that is acknowledged. Killing a process keeps the order of its stores: what is stored is in
 * the file's pages. So death at any instant leaves at most too much: pages twice in it, or of an epoch that was acknowledged after all.
 *
 * <p>It does not survive the host; nor need it, QEMU does not either. One thread at a time.
 *
 * <pre>
 *       0 +-----------+---------+----------+-------+------------+--------------+
 *         | magic u64 | version | identity | slots | page limit | entries      |  u32 each but the magic
 *      32 | last acknowledged epoch + 1 | last scanned epoch + 1, u64 each          |
 *      64 +-----------+---------+----------+-------+------------+--------------+
 *         | slot 0: u64 epoch + 1, or 0 if free | slot 1 | ... | slot N         |  slot N collects what has no other
 *    4096 +---------------------------------------------------------------------+
 *         | scan vector: entries × (start, end, categories), start 0 if empty    |
 *         +---------------------------------------------------------------------+  each at a multiple of 4096
 *         | bitmap of slot 0 | bitmap of slot 1 | ... | bitmap of slot N         |
 *         +---------------------------------------------------------------------+
 * </pre>
 */
public final class DirtyLedger implements AutoCloseable {
    /** Epochs in flight, unless told otherwise. */
    public static final int SLOTS_DEFAULT = 4;

    /** Slots are listed in what the header page leaves. */
    public static final int SLOTS_MAX = 64;

    /** "LSLEDGER" in little-endian order. */
    static final long MAGIC = 0x5245_4744_454C_534CL;

    static final int VERSION = 1;

    private static final int PAGE_BYTES = 4096;
    private static final int MAGIC_OFFSET = 0;
    private static final int VERSION_OFFSET = 8;
    private static final int IDENTITY_OFFSET = 12;
    private static final int SLOTS_OFFSET = 16;
    private static final int LIMIT_OFFSET = 20;
    private static final int ENTRIES_OFFSET = 24;
    private static final int ACKED_OFFSET = 32;
    private static final int SCANNED_OFFSET = 40;
    private static final int TABLE_OFFSET = 64;

    private final Path path;
    private final FileChannel lockFile;
    private final SharedMapping mapping;
    private final UnsafeBuffer header;
    private final PageIndex index;
    private final ScanVector vector;
    private final PageBitmap[] bitmaps;
    private final int collecting;
    private final boolean recovered;
    private final DirtyRanges sink = this::addToCurrent;
    private int current = -1;

    /**
     * Opens the ledger of one VM, and takes over what an earlier agent left in it.
     *
     * @param path on tmpfs
     * @param identity of the VM, its process and start time, its blocks: of another identity nothing is taken over
     * @param slots epochs in flight, 1 to {@link #SLOTS_MAX}
     * @param entryCount ranges of the scan vector
     * @throws IOException also if another process has it open
     */
    public static DirtyLedger open(Path path, LedgerIdentity identity, PageIndex index, int slots, int entryCount)
            throws IOException {
        if (slots < 1 || slots > SLOTS_MAX) {
            throw new IllegalArgumentException("slots " + slots + " not in 1.." + SLOTS_MAX);
        }
        FileChannel lockFile =
                FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        boolean done = false;
        try {
            lock(lockFile, path);
            DirtyLedger ledger = new DirtyLedger(path, lockFile, identity.checksum(), index, slots, entryCount);
            done = true;
            return ledger;
        } finally {
            if (!done) {
                lockFile.close();
            }
        }
    }

    private DirtyLedger(Path path, FileChannel lockFile, int identity, PageIndex index, int slots, int entryCount)
            throws LinuxException {
        this.path = path;
        this.lockFile = lockFile;
        this.index = index;
        this.collecting = slots;
        int vectorBytes = pages(entryCount * PagemapScan.ENTRY_BYTES);
        int bitmapBytes = pages(PageBitmap.bytes(index.limit()));
        long lengthBytes = PAGE_BYTES + vectorBytes + (slots + 1L) * bitmapBytes;
        mapping = SharedMapping.create(path, lengthBytes, true);
        // SAFETY: header, vector and bitmaps lie one behind another within the mapping of their summed length, which
        // close() ends last.
        header = new UnsafeBuffer(mapping.address(), PAGE_BYTES);
        vector = new ScanVector(mapping.address() + PAGE_BYTES, entryCount);
        bitmaps = new PageBitmap[slots + 1];
        for (int i = 0; i <= slots; i++) {
            bitmaps[i] = new PageBitmap(
                    mapping.address() + PAGE_BYTES + vectorBytes + (long) i * bitmapBytes, index.limit());
        }
        recovered = header.getLong(MAGIC_OFFSET) == MAGIC
                && header.getInt(VERSION_OFFSET) == VERSION
                && header.getInt(IDENTITY_OFFSET) == identity
                && header.getInt(SLOTS_OFFSET) == slots
                && header.getInt(LIMIT_OFFSET) == index.limit()
                && header.getInt(ENTRIES_OFFSET) == entryCount;
        if (recovered) {
            collectVector();
        } else {
            format(identity, entryCount);
        }
    }

    private void format(int identity, int entryCount) {
        // The magic goes first and comes last: a half-formatted file is nobody's.
        header.putLong(MAGIC_OFFSET, 0);
        VarHandle.fullFence();
        header.setMemory(Long.BYTES, PAGE_BYTES - Long.BYTES, (byte) 0);
        for (PageBitmap bitmap : bitmaps) {
            bitmap.clear();
        }
        vector.clear(entryCount);
        header.putInt(VERSION_OFFSET, VERSION);
        header.putInt(IDENTITY_OFFSET, identity);
        header.putInt(SLOTS_OFFSET, collecting);
        header.putInt(LIMIT_OFFSET, index.limit());
        header.putInt(ENTRIES_OFFSET, entryCount);
        VarHandle.fullFence();
        header.putLong(MAGIC_OFFSET, MAGIC);
    }

    /** Ranges that a dead agent's scan left in the vector. The whole vector counts: a scan may have overwritten older ones in part. */
    private void collectVector() {
        for (int i = 0; i < vector.entryCount(); i++) {
            if (vector.start(i) != 0) {
                addTo(bitmaps[collecting], vector.start(i), vector.end(i));
            }
        }
        vector.clear(vector.entryCount());
    }

    /** Whether it holds what an earlier agent knew; if not, all of the guest's memory must be copied. */
    public boolean recovered() {
        return recovered;
    }

    /** For the tracker, so that what a scan found is in the ledger from the instant on at which the kernel forgets it. */
    public ScanVector scanVector() {
        return vector;
    }

    /** Whether a further epoch can begin; else one must be acknowledged first. */
    public boolean hasFreeSlot() {
        return freeSlot() >= 0;
    }

    /**
     * Begins the bookkeeping of a scan for an epoch, or goes on with it: an epoch may be scanned several times. The tracker's ranges then go
     * to {@link #sink()}.
     *
     * @param epoch 0 or more; that of the last scan, or above all before
     */
    public void beginScan(long epoch) {
        int slot = slotOf(epoch);
        if (slot < 0) {
            slot = freeSlot();
            if (slot < 0) {
                throw new IllegalStateException(
                        "no free slot for epoch " + epoch + ": " + collecting + " epochs in flight");
            }
            header.putLong(SCANNED_OFFSET, epoch + 1);
            header.putLong(TABLE_OFFSET + slot * Long.BYTES, epoch + 1);
            VarHandle.fullFence();
        }
        current = slot;
    }

    private int slotOf(long epoch) {
        for (int i = 0; i < collecting; i++) {
            if (header.getLong(TABLE_OFFSET + i * Long.BYTES) == epoch + 1) {
                return i;
            }
        }
        return -1;
    }

    /** Takes the ranges of scans between {@link #beginScan} and {@link #endScan}. */
    public DirtyRanges sink() {
        return sink;
    }

    /** Ends the scan of the epoch and gives its pages; valid until the epoch is acknowledged. */
    public PageBitmap endScan(long epoch) {
        if (current < 0 || header.getLong(TABLE_OFFSET + current * Long.BYTES) != epoch + 1) {
            throw new IllegalStateException("epoch " + epoch + " is not being scanned");
        }
        PageBitmap bitmap = bitmaps[current];
        current = -1;
        return bitmap;
    }

    /** Adds pages to the epoch being scanned that no tracker reports, e.g. discarded ones; by flat index, end exclusive. */
    public void add(int from, int end) {
        bitmaps[checkedCurrent()].set(from, end);
    }

    /**
     * Moves all unacknowledged pages of other epochs, and what a dead agent left, to the epoch being scanned: after a new session began,
     * or an epoch was void, they travel again with it.
     */
    public void carryPending() {
        int target = checkedCurrent();
        for (int i = 0; i <= collecting; i++) {
            if (i != target && inUse(i)) {
                bitmaps[target].or(bitmaps[i]);
                VarHandle.fullFence();
                free(i);
            }
        }
    }

    /**
     * Puts the pages of all epochs in flight beside what a dead agent left, and frees their slots: they were sent in a session that is
     * over, so that no acknowledgement of theirs comes any more. They stay pending until {@link #carryPending}.
     */
    public void gather() {
        for (int i = 0; i < collecting; i++) {
            if (inUse(i)) {
                bitmaps[collecting].or(bitmaps[i]);
                VarHandle.fullFence();
                free(i);
            }
        }
    }

    /** The peer holds this epoch and all before it. */
    public void acked(long epoch) {
        if (current >= 0 && header.getLong(TABLE_OFFSET + current * Long.BYTES) <= epoch + 1) {
            throw new IllegalStateException("epoch " + epoch + " acknowledged while it is being scanned");
        }
        // First, so that a peer that holds less than what was freed here is never taken for one that holds enough.
        header.putLong(ACKED_OFFSET, Math.max(header.getLong(ACKED_OFFSET), epoch + 1));
        VarHandle.fullFence();
        for (int i = 0; i < collecting; i++) {
            long entry = header.getLong(TABLE_OFFSET + i * Long.BYTES);
            if (entry != 0 && entry <= epoch + 1) {
                free(i);
            }
        }
    }

    /** The last epoch given to {@link #acked}, also by an earlier agent; -1 if none. */
    public long lastAcked() {
        return header.getLong(ACKED_OFFSET) - 1;
    }

    /** The last epoch that a scan began for, also by an earlier agent; -1 if none. */
    public long lastScanned() {
        return header.getLong(SCANNED_OFFSET) - 1;
    }

    /** Puts all pages that are not acknowledged into a bitmap, in addition to what it has. */
    public void pending(PageBitmap into) {
        for (int i = 0; i <= collecting; i++) {
            if (inUse(i)) {
                into.or(bitmaps[i]);
            }
        }
    }

    /** Forgets everything: before a full copy. */
    public void reset() {
        current = -1;
        for (int i = 0; i <= collecting; i++) {
            free(i);
        }
        vector.clear(vector.entryCount());
    }

    /** Ends the use and removes the file: protection is over. */
    public void delete() throws IOException {
        close();
        Files.deleteIfExists(path);
    }

    /** Ends the use; the file stays for a successor. The bitmaps and the vector must not be used any more. */
    @Override
    public void close() throws IOException {
        mapping.close();
        lockFile.close();
    }

    private void addToCurrent(long start, long end) {
        addTo(bitmaps[checkedCurrent()], start, end);
    }

    /** A range may cover neighbouring regions, of which one's bits need not follow the other's. */
    private void addTo(PageBitmap bitmap, long start, long end) {
        long at = start;
        while (at < end) {
            int flat = index.flatOfAddress(at);
            if (flat < 0) {
                throw new IllegalStateException("written range 0x" + Long.toHexString(at) + "..0x"
                        + Long.toHexString(end) + " is in no RAM block");
            }
            MemoryRegion region = index.regions().get(index.block(flat));
            long regionEnd = Math.min(end, region.hostEnd());
            bitmap.set(flat, flat + (int) ((regionEnd - at) / PAGE_BYTES));
            at = regionEnd;
        }
    }

    private int checkedCurrent() {
        if (current < 0) {
            throw new IllegalStateException("no epoch is being scanned");
        }
        return current;
    }

    private int freeSlot() {
        for (int i = 0; i < collecting; i++) {
            if (header.getLong(TABLE_OFFSET + i * Long.BYTES) == 0) {
                return i;
            }
        }
        return -1;
    }

    private boolean inUse(int slot) {
        return slot == collecting || header.getLong(TABLE_OFFSET + slot * Long.BYTES) != 0;
    }

    private void free(int slot) {
        bitmaps[slot].clear();
        VarHandle.fullFence();
        header.putLong(TABLE_OFFSET + slot * Long.BYTES, 0);
    }

    private static int pages(int bytes) {
        return Math.addExact(bytes, PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    }

    private static void lock(FileChannel file, Path path) throws IOException {
        FileLock lock;
        try {
            lock = file.tryLock();
        } catch (OverlappingFileLockException e) {
            throw new IOException("dirty ledger " + path + " is in use by this process", e);
        }
        if (lock == null) {
            throw new IOException("dirty ledger " + path + " is in use by another process");
        }
    }
}
