package io.lockstep.replication.disk;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.memory.PageBitmap;
import io.lockstep.replication.pipeline.PageCodec;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.util.List;
import org.agrona.UnsafeApi;

/**
 * Makes pages of the stream of the writes in a log.
 *
 * <p>Invariant: a page that the peer's image was never given, is zero there. The capture thread; allocates nothing.
 */
final class DiskPages implements DiskLog.Taker {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    /** Pages in one claim. */
    private static final int CLAIM_PAGES = 64;

    private final List<GuestDisk> disks;
    private final int firstBlock;
    private final PagePipeline pipeline;
    private final PageBitmap[] given;
    private int flags = PageCodec.FLAG_PASSING;

    /** @param firstBlock index of the first disk among the stream's blocks */
    DiskPages(List<GuestDisk> disks, int firstBlock, PagePipeline pipeline) {
        this.disks = disks;
        this.firstBlock = firstBlock;
        this.pipeline = pipeline;
        given = new PageBitmap[disks.size()];
        for (int i = 0; i < given.length; i++) {
            // The bitmap counts in words.
            given[i] = new PageBitmap((disks.get(i).disk().pageCount() + 63) & ~63);
        }
    }

    /** What the peer's images hold: nothing, or something that is not known. */
    void assume(boolean empty) {
        for (PageBitmap each : given) {
            each.clear();
            each.set(0, empty ? 0 : each.limit());
        }
    }

    /** Whether pages may refer to memory: all of the epoch's memory has been published. */
    void memoryPublished(boolean is) {
        flags = is ? PageCodec.FLAG_PASSING | PageCodec.FLAG_MAY_REFER : PageCodec.FLAG_PASSING;
    }

    @Override
    public void write(int disk, long offset, long contentAddress, int length) throws PipelineException {
        long at = offset;
        long from = contentAddress;
        long end = offset + length;
        while (at < end) {
            int page = (int) (at / PAGE_BYTES);
            int start = (int) (at % PAGE_BYTES);
            if (start != 0 || end - at < PAGE_BYTES) {
                int part = (int) Math.min(PAGE_BYTES - start, end - at);
                part(disk, page, from, start, part);
                at += part;
                from += part;
            } else {
                int count = whole(disk, page, from, (int) ((end - at) / PAGE_BYTES));
                at += (long) count * PAGE_BYTES;
                from += (long) count * PAGE_BYTES;
            }
        }
    }

    private void part(int disk, int page, long from, int start, int length) throws PipelineException {
        if (from == 0 && !given[disk].get(page)) {
            return;
        }
        long slot = pipeline.claim(1);
        pipeline.describePart(slot, firstBlock + disk, page, from, start, length);
        pipeline.publish(slot, slot);
        given[disk].set(page, page + 1);
    }

    private int whole(int disk, int page, long from, int wanted) throws PipelineException {
        int count = Math.min(wanted, CLAIM_PAGES);
        long first = pipeline.claim(count);
        for (int i = 0; i < count; i++) {
            // SAFETY: the log holds count pages at from until they are taken, and the slots are ours until
            // published.
            UnsafeApi.copyMemory(from + (long) i * PAGE_BYTES, pipeline.address(first + i), PAGE_BYTES);
            pipeline.describe(first + i, firstBlock + disk, page + i, flags);
        }
        pipeline.publish(first, first + count - 1);
        given[disk].set(page, page + count);
        return count;
    }

    @Override
    public void zeroes(int disk, long offset, long length) throws PipelineException {
        long end = offset + length;
        int firstWhole = (int) ((offset + PAGE_BYTES - 1) / PAGE_BYTES);
        int endWhole = (int) (end / PAGE_BYTES);
        if (end == disks.get(disk).disk().lengthBytes()) {
            endWhole = disks.get(disk).disk().pageCount();
        }
        long head = Math.min(end, (long) firstWhole * PAGE_BYTES) - offset;
        if (head > 0) {
            part(disk, (int) (offset / PAGE_BYTES), 0, (int) (offset % PAGE_BYTES), (int) head);
        }
        zeroPages(disk, firstWhole, endWhole);
        long tail = end - (long) endWhole * PAGE_BYTES;
        if (tail > 0 && endWhole >= firstWhole) {
            part(disk, endWhole, 0, 0, (int) tail);
        }
    }

    private void zeroPages(int disk, int from, int end) throws PipelineException {
        int page = from < end ? given[disk].nextSet(from) : -1;
        while (page >= 0 && page < end) {
            int runEnd = Math.min(Math.min(end, given[disk].nextClear(page)), page + CLAIM_PAGES);
            long first = pipeline.claim(runEnd - page);
            for (int i = page; i < runEnd; i++) {
                pipeline.describe(first + i - page, firstBlock + disk, i, PageCodec.FLAG_ZERO | PageCodec.FLAG_PASSING);
            }
            pipeline.publish(first, first + runEnd - page - 1);
            given[disk].clear(page, runEnd);
            page = given[disk].nextSet(runEnd);
        }
    }
}
