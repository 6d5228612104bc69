package io.lockstep.replication.disk;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.hypervisor.ProcessOwner;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.memory.PageBitmap;
import io.lockstep.replication.pipeline.PageCodec;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.UnsafeApi;

/**
 * The disks of one protected VM: their mirrors write into a log, from which the epochs take what belongs to them.
 *
 * <pre>
 *   guest's write -> blockdev-mirror, write-blocking -> NBD -> log --take--> pages of the epoch's stream -> the peer's raw image
 *                                                                ^ cut at the boundary: QEMU has drained by then
 * </pre>
 *
 * <p>Invariants: While the mirrors are intact ({@link #requireIntact}), every write that the guest saw done before a boundary is in the log before the mark of that boundary.
 * A page that the peer's image has never been given is zero there.
 *
 * <p>Threads: the capture thread; the servers have their own. Without disks every method does nothing.
 */
public final class DiskReplication implements AutoCloseable {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int LOG_BYTES = 64 << 20;
    /** A first copy is looked at so often; QEMU answers in a fraction of a millisecond. */
    private static final long POLL_NS = 20_000_000;
    /** Taken in one go, so that the VM's death is noticed. */
    private static final long TAKE_BYTES = 8 << 20;
    /** More than this that waits is taken before the epoch ends. */
    private static final long WAITING_BYTES = 1 << 20;
    /** Zero pages in one claim. */
    private static final int CLAIM_PAGES = 64;

    private final List<GuestDisk> disks;
    private final int firstBlock;
    private final QmpConnection qmp;
    private final PagePipeline pipeline;
    private final List<DiskMirror> mirrors = new ArrayList<>();
    private final PageBitmap[] given;
    private final DiskLog log;
    private final Pages pages = new Pages();
    private boolean running;
    private boolean ready;
    private long nextPollNs;
    private long mark;
    private volatile long copiedBytes;
    private volatile long totalBytes;

    /**
     * Nothing is touched but the directory of the sockets.
     *
     * @param firstBlock index of the first disk among the stream's blocks
     * @param directory for the sockets, which is made if need be
     * @param wake told when the log fills
     */
    public DiskReplication(
            List<GuestDisk> disks,
            int firstBlock,
            QmpConnection qmp,
            ProcessOwner owner,
            PagePipeline pipeline,
            Path directory,
            Runnable wake)
            throws LockstepException, IOException {
        this.disks = List.copyOf(disks);
        this.firstBlock = firstBlock;
        this.qmp = qmp;
        this.pipeline = pipeline;
        given = new PageBitmap[disks.size()];
        log = new DiskLog(disks.isEmpty() ? 1 << 12 : LOG_BYTES, wake);
        if (!disks.isEmpty()) {
            Files.createDirectories(directory);
        }
        for (int i = 0; i < given.length; i++) {
            // The bitmap counts in words.
            given[i] = new PageBitmap((disks.get(i).disk().pageCount() + 63) & ~63);
            mirrors.add(new DiskMirror(i, disks.get(i), log, directory, owner));
        }
    }

    /** Takes away what an agent that died left in QEMU. */
    public static void removeLeftovers(QmpConnection qmp) throws LockstepException {
        DiskMirror.removeLeftovers(qmp);
    }

    /** Whether the VM has disks to replicate. */
    public boolean present() {
        return !disks.isEmpty();
    }

    /**
     * A session begins: the disks are mirrored from their beginning.
     *
     * @param fresh the peer's images are empty
     */
    public void begin(boolean fresh) throws LockstepException {
        if (!present()) {
            return;
        }
        end();
        if (fresh) {
            for (PageBitmap each : given) {
                each.clear();
            }
        }
        DiskMirror.removeLeftovers(qmp);
        log.begin();
        running = true;
        ready = false;
        nextPollNs = System.nanoTime();
        for (DiskMirror mirror : mirrors) {
            mirror.start(qmp);
        }
    }

    /** The session is over: QEMU's writes go nowhere until the next one. */
    public void end() {
        log.end();
        running = false;
        ready = false;
    }

    /** Whether all that the disks hold is mirrored, and every write since. */
    public boolean ready(long nowNs) throws LockstepException {
        if (!present() || ready) {
            return true;
        }
        if (nowNs - nextPollNs >= 0) {
            nextPollNs = nowNs + POLL_NS;
            long done = 0;
            long total = 0;
            boolean all = true;
            for (DiskMirror mirror : mirrors) {
                DiskMirror.Progress progress = mirror.progress(qmp);
                if (progress.gone()) {
                    throw broken("QEMU ended the first copy");
                }
                all &= progress.ready();
                done += progress.done();
                total += progress.total();
            }
            copiedBytes = done;
            totalBytes = total;
            ready = all;
        }
        return ready;
    }

    /** When {@link #ready} looks again. */
    public long nextPollNs() {
        return nextPollNs;
    }

    /** @throws PipelineException {@code disk-mirror-broken}, if a write may have been missed: the session must begin anew */
    public void requireIntact(String jobEnded) throws PipelineException {
        if (present() && running && (log.lost() || DiskMirror.owns(jobEnded))) {
            throw broken(log.lost() ? "writes were dropped" : "QEMU's job " + jobEnded + " ended");
        }
    }

    private static PipelineException broken(String what) {
        return new PipelineException(
                "disk-mirror-broken",
                "the mirror of a disk broke: " + what + ". The disks are copied again; see QEMU's log for the cause");
    }

    /** QEMU drains: the log must take what is in flight. */
    public void draining(boolean on) {
        log.draining(on);
    }

    /** In a hold, behind the boundary: what has come by now is this epoch's. */
    public void mark() {
        mark = log.tail();
    }

    /** Whether so much waits that it should be taken now. */
    public boolean waits() {
        return log.waitingBytes() > WAITING_BYTES;
    }

    /** Hands over some of what has come, in an epoch under way. */
    public void take() throws LockstepException {
        take(log.tail());
    }

    /** Hands over what came before the mark; the epoch can end then. */
    public void takeMarked() throws LockstepException {
        while (log.waits(mark)) {
            take(mark);
        }
    }

    private void take(long until) throws LockstepException {
        try {
            log.take(until, TAKE_BYTES, pages);
        } catch (LockstepException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** Bytes of the disks that were copied so far; any thread. */
    public long copiedBytes() {
        return copiedBytes;
    }

    /** Bytes of the disks to copy, as known now; any thread. */
    public long totalBytes() {
        return totalBytes;
    }

    /** The disks, in the stream's order. */
    public List<GuestDisk> disks() {
        return disks;
    }

    /** Takes everything of ours out of QEMU; while it lives. */
    public void remove() throws LockstepException {
        if (present()) {
            end();
            DiskMirror.removeLeftovers(qmp);
        }
    }

    /** Ends the servers; a QEMU that still mirrors goes on without. */
    @Override
    public void close() {
        log.close();
        mirrors.forEach(DiskMirror::close);
    }

    /** Writes become pages of the stream. */
    private final class Pages implements DiskLog.Taker {
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
                pipeline.describe(first + i, firstBlock + disk, page + i, PageCodec.FLAG_PASSING);
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
                    pipeline.describe(
                            first + i - page, firstBlock + disk, i, PageCodec.FLAG_ZERO | PageCodec.FLAG_PASSING);
                }
                pipeline.publish(first, first + runEnd - page - 1);
                given[disk].clear(page, runEnd);
                page = given[disk].nextSet(runEnd);
            }
        }
    }
}
