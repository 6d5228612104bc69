package io.lockstep.replication.protection;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.memory.DirtyLedger;
import io.lockstep.replication.memory.DirtyRanges;
import io.lockstep.replication.memory.DirtyTracker;
import io.lockstep.replication.memory.GuestMemory;
import io.lockstep.replication.memory.HotPages;
import io.lockstep.replication.memory.HugePageMerger;
import io.lockstep.replication.memory.PageBitmap;
import io.lockstep.replication.memory.PageIndex;
import io.lockstep.replication.pipeline.PageCodec;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import org.jspecify.annotations.Nullable;

/**
 * Brings written pages from the VM into the pipeline's slots. Capture thread only.
 *
 * <p>Invariants: A page leaves {@code pending} only when it is read, and what is read was armed before: a write during or after the
 * reading is reported by the next scan. In a hold that only lists, and of hot pages, nothing is armed: every scan reports them until one arms them.
 * What was armed and is not acknowledged stands in the ledger, which outlives this process.
 * Nothing is allocated.
 */
final class EpochCapture {
    /** Pages of one claim while the guest runs: bounds how long the encoders wait for the first. 512 × 4 KiB = 2 MiB. */
    private static final int PAGES_PER_CLAIM = 512;

    private static final byte ZERO = 0;

    private final PageIndex index;
    private final DirtyTracker tracker;
    private final Discards discards;
    private final DirtyLedger ledger;
    private final GuestMemory memory;
    private final PopulatedPages populated;
    private final PagePipeline pipeline;
    private final HotPages hot;
    private final HugePageMerger hugePages;
    private final PageBitmap pending;
    private final PageBitmap peeked;
    /** Pages whose content at the peer is not what we sent: no delta may build on it. */
    private final PageBitmap healed;

    private final DirtyRanges armed = this::armed;
    private final DirtyRanges listed = this::listed;
    private final DirtyRanges seen = this::seen;
    private @Nullable PageBitmap scanned;
    private boolean carry;
    private int passingFlag;
    private long claimedFirst = -1;
    private long claimedLast = -1;
    private int scrubNext;
    private long scrubbed;
    private long scrubFirst;
    private int scrubCount;

    EpochCapture(
            PageIndex index,
            DirtyTracker tracker,
            Discards discards,
            DirtyLedger ledger,
            GuestMemory memory,
            PopulatedPages populated,
            PagePipeline pipeline,
            HotPages hot,
            HugePageMerger hugePages) {
        this.index = index;
        this.tracker = tracker;
        this.discards = discards;
        this.ledger = ledger;
        this.memory = memory;
        this.populated = populated;
        this.pipeline = pipeline;
        this.hot = hot;
        this.hugePages = hugePages;
        this.pending = new PageBitmap(index.limit());
        this.peeked = new PageBitmap(index.limit());
        this.healed = new PageBitmap(index.limit());
    }

    /** Pages that the peer must still get. */
    int pendingCount() {
        return pending.cardinality();
    }

    /** Pages whose hashes were sent for scrubbing so far. */
    long scrubbed() {
        return scrubbed;
    }

    /** The peer has nothing: everything is pending. */
    void everythingPending() throws LinuxException {
        ledger.reset();
        carry = false;
        for (int block = 0; block < index.regions().size(); block++) {
            int first = index.flat(block, 0);
            pending.set(first, first + index.regions().get(block).block().pageCount());
        }
        populated.refresh();
    }

    /** The peer holds an epoch: pending is what was armed since, and what is pending already. */
    void resumeFrom(long committedEpoch) {
        ledger.acked(committedEpoch);
        // All slots may be in use, and without a free one no epoch could begin.
        ledger.gather();
        ledger.pending(pending);
        carry = true;
    }

    /** The peer's content of a page is wrong: send it again, whole. */
    void heal(int block, int page) {
        int flat = index.flat(block, page);
        healed.set(flat, flat + 1);
        pending.set(flat, flat + 1);
    }

    /** Whether pages travel only in passing, as in a first copy: then they are not kept for deltas. */
    void passing(boolean on) {
        passingFlag = on ? PageCodec.FLAG_PASSING : 0;
    }

    /** Adds what was written since the last arming, and arms all but hot pages. The VM is held. */
    void scanHeld(long epoch) throws LinuxException {
        beginScan(epoch);
        tracker.scanAndArmCold(hot, true, armed);
        endScan(epoch);
    }

    /** Adds what was written since the last arming, and arms nothing: the next scan lists it again. The VM is held. */
    void listHeld(long epoch) throws LinuxException {
        beginScan(epoch);
        tracker.peek(listed);
        endScan(epoch);
    }

    /** Adds what was written since the last arming, but for hot pages, and arms it. Early arming is safe. */
    void scanAhead(long epoch) throws LinuxException {
        beginScan(epoch);
        tracker.scanAndArmCold(hot, false, armed);
        endScan(epoch);
    }

    private void beginScan(long epoch) {
        ledger.beginScan(epoch);
        if (carry) {
            carry = false;
            ledger.carryPending();
        }
    }

    private void endScan(long epoch) throws LinuxException {
        discards.collect(ledger, pending, populated);
        scanned = ledger.endScan(epoch);
    }

    /** A hold is over, and all that it listed was read: learns which pages are hot. The VM runs. */
    void learn() throws LinuxException {
        hot.holdEnded();
        int whole = hot.takeWholePiece();
        if (whole >= 0) {
            long address = index.hostAddress(whole);
            tracker.disarm(address, address + (long) HotPages.PIECE_PAGES * RamBlock.PAGE_BYTES);
            hugePages.merge(address);
        }
    }

    /** Pages that every hold reads. */
    int hotCount() {
        return hot.count();
    }

    /** The held pages may have been read while the VM ran: the whole epoch is to be read again. */
    void rereadEpoch() {
        if (scanned != null) {
            pending.or(scanned);
        }
    }

    /** Whether the bookkeeping of a further epoch has room. */
    boolean hasRoom() {
        return ledger.hasFreeSlot();
    }

    /** The peer holds the epoch and those before. */
    void acknowledged(long epoch) {
        ledger.acked(epoch);
    }

    /** Pages written since the last arming, without arming. */
    int peek() throws LinuxException {
        peeked.clear();
        tracker.peek(seen);
        return peeked.cardinality();
    }

    /**
     * Reads what was written since the last arming, but for hot pages, ahead of the stop, which lists and reads it again; unchanged pages are
     * not sent twice.
     *
     * @return the pages that were written
     */
    int copyPeeked(int pagesMax) throws LinuxException, PipelineException {
        peek();
        hot.removeFrom(peeked);
        int pages = peeked.cardinality();
        copyRunning(peeked, pagesMax);
        return pages;
    }

    /** Reads pending pages into slots while the guest runs, and hands them over at once; up to a number of pages. */
    void copyRunning(int pagesMax) throws LinuxException, PipelineException {
        copyRunning(pending, pagesMax);
    }

    private void copyRunning(PageBitmap pages, int pagesMax) throws LinuxException, PipelineException {
        int left = Math.min(pagesMax, pages.cardinality());
        int from = 0;
        while (left > 0) {
            int claimed = Math.min(left, PAGES_PER_CLAIM);
            from = copy(pages, from, claimed);
            publish();
            left -= claimed;
        }
    }

    /** Reads all pending pages into slots; they are handed over by {@link #publish()}, after the pause. The room was awaited before. */
    void copyHeld() throws LinuxException, PipelineException {
        int wanted = pending.cardinality();
        if (wanted > 0) {
            copy(pending, 0, wanted);
        }
    }

    /** Reads the next pages in turn for their hashes at this boundary; the VM is held. */
    void scrubHeld(int pageCount) throws LinuxException, PipelineException {
        if (pageCount == 0) {
            return;
        }
        long first = claim(pageCount);
        for (int i = 0; i < pageCount; i++) {
            int flat = nextScrubbed();
            int block = index.block(flat);
            readSlots(first + i, flat, 1);
            pipeline.describeScrub(first + i, block, flat - index.flat(block, 0));
        }
        scrubbed += pageCount;
        scrubFirst = first;
        scrubCount = pageCount;
    }

    /** The VM ran before the hold's end: what {@link #scrubHeld} read is of no boundary. To be called before {@link #publish()}. */
    void dropScrub() {
        for (int i = 0; i < scrubCount; i++) {
            pipeline.withdraw(scrubFirst + i);
        }
        scrubbed -= scrubCount;
        scrubCount = 0;
    }

    /** Hands over what was read. */
    void publish() {
        if (claimedFirst >= 0) {
            pipeline.publish(claimedFirst, claimedLast);
            claimedFirst = -1;
            scrubCount = 0;
        }
    }

    /** Drops what was read and not handed over: protection ends, or {@link #resumeFrom} lists it again for the next session. */
    void abandon() {
        pipeline.abandonClaimed();
        claimedFirst = -1;
        scrubCount = 0;
    }

    private int nextScrubbed() {
        int flat = scrubNext;
        int block = index.block(flat);
        int page = flat - index.flat(block, 0);
        if (page >= index.regions().get(block).block().pageCount()) {
            block = (block + 1) % index.regions().size();
            flat = index.flat(block, 0);
        }
        scrubNext = flat + 1 < index.limit() ? flat + 1 : 0;
        return flat;
    }

    private long claim(int pageCount) throws PipelineException {
        long first = pipeline.claim(pageCount);
        if (claimedFirst < 0) {
            claimedFirst = first;
        }
        claimedLast = first + pageCount - 1;
        return first;
    }

    /** Reads so many of the pages from one on, clears their bits, and returns where it ended. */
    private int copy(PageBitmap pages, int from, int pageCount) throws LinuxException, PipelineException {
        long slot = claim(pageCount);
        long end = slot + pageCount;
        int flat = pages.nextSet(from);
        while (slot < end) {
            long stretchEnd = Math.min(end, slot + pipeline.contiguous(slot));
            memory.begin(pipeline.address(slot));
            while (slot < stretchEnd) {
                int block = index.block(flat);
                int blockFirst = index.flat(block, 0);
                int blockEnd = blockFirst + index.regions().get(block).block().pageCount();
                int run = Math.min(Math.min(pages.nextClear(flat), blockEnd) - flat, (int) (stretchEnd - slot));
                run = populated.run(flat, run);
                int flags = passingFlag;
                if (populated.isHole(flat)) {
                    flags |= PageCodec.FLAG_ZERO;
                    memory.finish();
                    memory.begin(pipeline.address(slot) + (long) run * RamBlock.PAGE_BYTES);
                } else {
                    memory.add(flat, run);
                }
                for (int i = 0; i < run; i++) {
                    pipeline.describe(slot + i, block, flat + i - blockFirst, flags | perPage(flat + i));
                }
                pages.clear(flat, flat + run);
                slot += run;
                flat = pages.nextSet(flat + run);
            }
            memory.finish();
        }
        return flat;
    }

    private int perPage(int flat) {
        int flags = hot.contains(flat) ? PageCodec.FLAG_HOT : 0;
        if (healed.get(flat)) {
            healed.clear(flat, flat + 1);
            flags |= PageCodec.FLAG_WHOLE;
        }
        return flags;
    }

    private void readSlots(long slot, int flat, int pageCount) throws LinuxException {
        if (populated.holeNow(flat)) {
            zero(slot, pageCount);
        } else {
            memory.read(flat, pageCount, pipeline.address(slot));
        }
    }

    private void zero(long slot, int pageCount) {
        pipeline.slots().setMemory(pipeline.offset(slot), pageCount * RamBlock.PAGE_BYTES, ZERO);
    }

    /** What an arming scan reports; each page has cost the guest a fault, unless it is hot. */
    private void armed(long start, long end) {
        written(start, end, true);
    }

    private void listed(long start, long end) {
        written(start, end, false);
    }

    /** What a scan reports: into the ledger first, so that our death between the two loses nothing. */
    private void written(long start, long end, boolean arming) {
        ledger.sink().add(start, end);
        for (long at = start; at < end; ) {
            int flat = index.flatOfAddress(at);
            int pageCount = pagesOfOneBlock(flat, at, end);
            populated.written(flat, flat + pageCount);
            pending.set(flat, flat + pageCount);
            if (arming) {
                hot.listed(flat, flat + pageCount);
            } else {
                hot.seen(flat, flat + pageCount);
            }
            at += (long) pageCount * RamBlock.PAGE_BYTES;
        }
    }

    private void seen(long start, long end) {
        for (long at = start; at < end; ) {
            int flat = index.flatOfAddress(at);
            int pageCount = pagesOfOneBlock(flat, at, end);
            peeked.set(flat, flat + pageCount);
            at += (long) pageCount * RamBlock.PAGE_BYTES;
        }
    }

    /** A range may cover neighbouring blocks. */
    private int pagesOfOneBlock(int flat, long start, long end) {
        long blockEnd = index.regions().get(index.block(flat)).hostEnd();
        return (int) ((Math.min(end, blockEnd) - start) / RamBlock.PAGE_BYTES);
    }
}
