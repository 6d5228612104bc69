package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import io.lockstep.replication.hypervisor.ProcessOwner;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The disks of one protected VM: their mirrors write into a log, from which the epochs take what belongs to them; what the peer does not have
 * yet is read beside them, into the same log.
 *
 * <pre>
 *   guest's write -> blockdev-mirror, write-blocking -> NBD -> log --take--> pages of the epoch's stream -> the peer's raw image
 *   QEMU's NBD export <- read by DiskCopy ---------------------> |  ^ cut at the boundary: QEMU has drained by then
 * </pre>
 *
 * <p>Invariants: While the mirrors are intact ({@link #requireIntact}), every write that the guest saw done before a boundary is in the log before
 * the mark of that boundary. What the peer lacks of a disk is beyond what {@link CopyLedger} says, or in a bitmap of {@link BitmapTrail}, both of
 * which outlive this process.
 *
 * <p>Threads: the capture thread; the servers and the copy have their own. Without disks every method does nothing.
 */
public final class DiskReplication implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(DiskReplication.class);
    public static final int LOG_BYTES = 64 << 20;
    /** A copy is looked at so often. */
    private static final long POLL_NS = 10_000_000;
    /** Taken in one go, so that the VM's death is noticed. */
    private static final long TAKE_BYTES = 8 << 20;
    /** More than this that waits is taken before the epoch ends, so that the link does not rest. */
    private static final long WAITING_BYTES = 1 << 20;
    /** The same, where most pages need not travel if they wait for the epoch's memory. */
    private static final long WAITING_BYTES_REFERRED = LOG_BYTES / 4;
    /** What was missed is no more than this: it travels in one epoch, and the peer keeps the one before until then. Half of the least journal. */
    private static final long ONE_EPOCH_BYTES_MAX = 64 << 20;
    /** What was written in so much time is read again after a restart of the agent. */
    private static final long TRAIL_NS = 5_000_000_000L;
    /** The jobs' state is looked at so often beside the events that QEMU sends of it. */
    private static final long JOBS_NS = 1_000_000_000L;

    private static final long JOBS_START_NS = 5_000_000_000L;
    private static final long JOBS_POLL_NS = 1_000_000;

    private static final long NONE = -1;

    private final List<GuestDisk> disks;
    private final QmpConnection qmp;
    private final List<DiskMirror> mirrors = new ArrayList<>();
    private final DiskLog log;
    private final FlushAhead flushes;
    private final DiskPages pages;
    private final BitmapTrail trail;
    private final @Nullable CopyLedger ledger;
    private final @Nullable DiskExports exports;
    private final LongAdder readBytes = new LongAdder();
    private final DutyCycle copying = DutyCycle.idle();
    private volatile @Nullable DiskCopy copy;
    private volatile @Nullable DiskCopy lastCopy;
    private boolean running;
    private volatile boolean ready;
    private long nextPollNs;
    private long nextJobsNs;
    private final ReferenceWorth references;
    private long mark;
    private long flushedNs;
    private long copiedEpoch = NONE;
    private final long[] copiedEnds;
    private long trailEpoch = NONE;
    private long trailNumber;
    private long nextTrailNs;
    private long trailMark;
    /** Whether the ledger says that all of each disk is with the peer. */
    private boolean settled;

    /** A copy did not end in time: it may still use the ledger. */
    private boolean stuck;

    private volatile long ledgerImages;

    /**
     * Nothing is touched but the directory of the sockets.
     *
     * @param firstBlock index of the first disk among the stream's blocks
     * @param pid of the VM's QEMU
     * @param directory on tmpfs, for the sockets and what outlives this process; QEMU's user gets through to it
     * @param about the VM and its process: what an earlier life left of others is of no use
     * @param wake told when the log fills
     */
    public DiskReplication(
            List<GuestDisk> disks,
            int firstBlock,
            QmpConnection qmp,
            long pid,
            PagePipeline pipeline,
            Path directory,
            String about,
            Runnable wake)
            throws LockstepException, IOException {
        this.disks = List.copyOf(disks);
        this.qmp = qmp;
        pages = new DiskPages(this.disks, firstBlock, pipeline);
        references = new ReferenceWorth(pipeline.counters());
        trail = new BitmapTrail(this.disks);
        copiedEnds = new long[disks.size()];
        log = new DiskLog(disks.isEmpty() ? 1 << 12 : LOG_BYTES, wake);
        flushes = new FlushAhead(log::tail);
        if (disks.isEmpty()) {
            ledger = null;
            exports = null;
            return;
        }
        PassableDirectory.create(directory, directory);
        CopyLedger opened = new CopyLedger(directory.resolve("copied"), about + "\n" + disks, disks.size());
        ledger = opened;
        ledgerImages = opened.imagesId();
        exports = new DiskExports(directory, opened);
        boolean done = false;
        try {
            ProcessOwner owner = ProcessOwner.of(pid);
            for (int i = 0; i < disks.size(); i++) {
                mirrors.add(new DiskMirror(i, disks.get(i), log, directory, owner));
            }
            flushes.start(FlushAhead.files(qmp, pid, this.disks));
            done = true;
        } finally {
            if (!done) {
                close();
                forget();
            }
        }
    }

    /** Takes away the mirrors that an agent that died left in QEMU. Its bitmaps stay: they tell what it missed. */
    public static void removeLeftovers(QmpConnection qmp) throws LockstepException {
        DiskMirror.removeLeftovers(qmp);
    }

    /** Whether a job or node of QEMU is one of ours. */
    public static boolean owns(String name) {
        return DiskMirror.owns(name);
    }

    /** Whether the VM has disks to replicate. */
    public boolean present() {
        return !disks.isEmpty();
    }

    /** The peer's images of which it is known what they hold; 0 if there are none. Any thread. */
    public long imagesId() {
        return ledgerImages;
    }

    /**
     * A session begins: from now on the guest's writes are mirrored, and what the peer lacks is copied.
     *
     * @param resumes whether the peer has a replica of this VM
     * @param imagesId of the images that it has
     * @return whether what the peer lacks travels in one epoch
     */
    public boolean begin(boolean resumes, long imagesId) throws LockstepException {
        if (ledger == null || exports == null) {
            return true;
        }
        end();
        exports.stop(qmp);
        DiskMirror.removeLeftovers(qmp);
        trail.removeCollected(qmp);
        boolean trailed = trail.present(qmp);
        boolean same = imagesId != 0 && imagesId == ledger.imagesId();
        boolean here = same && trailed;
        DiskCopy.Known known =
                here ? DiskCopy.Known.LEDGER : same || resumes ? DiskCopy.Known.NOTHING : DiskCopy.Known.EMPTY;
        if (!here) {
            trail.removeAll(qmp);
            ledger.begin(imagesId);
            ledgerImages = imagesId;
            trail.add(qmp);
        }
        pages.assume(known == DiskCopy.Known.EMPTY);
        log.begin();
        running = true;
        ready = false;
        copiedEpoch = NONE;
        trailEpoch = NONE;
        settled = false;
        nextPollNs = System.nanoTime();
        nextTrailNs = nextPollNs;
        nextJobsNs = nextPollNs + JOBS_NS;
        draining(true);
        try {
            for (DiskMirror mirror : mirrors) {
                mirror.start(qmp, false);
            }
            awaitJobs();
            long missed = trail.collect(qmp);
            long left = 0;
            for (int i = 0; i < disks.size(); i++) {
                left += disks.get(i).disk().lengthBytes() - ledger.copied(i);
            }
            LOG.info("disks: {}, {} bytes written since, {} bytes never copied", known, missed, left);
            boolean onlyLacking = true;
            if (missed + left == 0) {
                trail.removeCollected(qmp);
                ready = true;
            } else {
                onlyLacking = copy(exports, ledger, known);
            }
            return here && left == 0 && missed <= ONE_EPOCH_BYTES_MAX && onlyLacking;
        } finally {
            draining(false);
        }
    }

    /** A mirror takes writes once its job runs: what was written before must be among what {@link DiskTrail} tells. */
    private void awaitJobs() throws LockstepException {
        long deadlineNs = System.nanoTime() + JOBS_START_NS;
        while (!jobsReady()) {
            if (System.nanoTime() - deadlineNs > 0) {
                throw broken("QEMU's job does not begin");
            }
            LockSupport.parkNanos(this, JOBS_POLL_NS);
        }
    }

    /** @return whether only what the peer lacks is copied; false: all of the disks is */
    private boolean copy(DiskExports served, CopyLedger to, DiskCopy.Known known) throws LockstepException {
        try {
            served.start(qmp, disks);
        } catch (LockstepException e) {
            if (!e.code().equals("qmp-error")) {
                throw e;
            }
            LOG.warn(
                    "{} Somebody else uses QEMU's NBD server: the disks are copied from their beginning.",
                    e.getMessage());
            served.stop(qmp);
            trail.removeCollected(qmp);
            DiskMirror.removeLeftovers(qmp);
            for (DiskMirror mirror : mirrors) {
                mirror.start(qmp, true);
            }
            return false;
        }
        DiskCopy started = new DiskCopy(disks, served.socket(), to, log, known, readBytes, copying);
        copy = started;
        lastCopy = started;
        started.start();
        return true;
    }

    /** The session is over: QEMU's writes go nowhere until the next one. */
    public void end() {
        log.end();
        running = false;
        ready = false;
        DiskCopy under = copy;
        copy = null;
        if (under != null) {
            under.close();
            stuck |= !under.ended();
        }
    }

    /** Whether all that the disks hold is in the log, and every write since. */
    public boolean ready(long nowNs) throws LockstepException {
        if (!present() || ready) {
            return true;
        }
        if (nowNs - nextPollNs >= 0) {
            nextPollNs = nowNs + POLL_NS;
            draining(true);
            try {
                ready = copyReady();
            } finally {
                draining(false);
            }
        }
        return ready;
    }

    private boolean copyReady() throws LockstepException {
        DiskCopy under = copy;
        if (under == null) {
            return jobsReady();
        }
        if (under.complete()) {
            under.close();
            copy = null;
            stopServing();
            return true;
        }
        if (under.failure() != null) {
            throw broken("the copy ended: " + under.failure());
        }
        return false;
    }

    private void stopServing() throws LockstepException {
        if (exports != null) {
            exports.stop(qmp);
            trail.removeCollected(qmp);
        }
    }

    private boolean jobsReady() throws LockstepException {
        boolean all = true;
        JsonNode jobs = qmp.execute("query-block-jobs");
        for (DiskMirror mirror : mirrors) {
            DiskMirror.Progress progress = mirror.progress(jobs);
            if (progress.gone()) {
                throw broken("QEMU ended its job");
            }
            all &= progress.ready();
        }
        return all;
    }

    /** When {@link #ready} looks again. */
    public long nextPollNs() {
        return nextPollNs;
    }

    /** @throws PipelineException {@code disk-mirror-broken}, if a write may have been missed: the session must begin anew */
    public void requireIntact(String jobEnded) throws PipelineException {
        if (present() && running && (log.lost() || !jobEnded.isEmpty())) {
            throw broken(log.lost() ? "writes were dropped" : "QEMU's job " + jobEnded + " ended");
        }
    }

    private static PipelineException broken(String what) {
        return new PipelineException(
                "disk-mirror-broken",
                "the mirror of a disk broke: " + what
                        + ". What the peer missed is copied as soon as it can be; see QEMU's log for the cause");
    }

    /**
     * What is due between two epochs, once the disks are whole: new bitmaps in place of those whose content the peer has, and a look at the jobs.
     *
     * @param epoch the one under way, whose boundary is still to come
     * @param ackedEpoch the last that the peer has
     */
    public void keep(long epoch, long ackedEpoch, long nowNs) throws LockstepException {
        if (ledger == null || !ready) {
            return;
        }
        draining(true);
        try {
            keep(ledger, epoch, ackedEpoch, nowNs);
        } finally {
            draining(false);
        }
    }

    private void keep(CopyLedger ledger, long epoch, long ackedEpoch, long nowNs) throws LockstepException {
        if (nowNs - nextJobsNs >= 0) {
            nextJobsNs = nowNs + JOBS_NS;
            if (!jobsReady()) {
                throw broken("QEMU's mirror is not in sync any more");
            }
        }
        if (trailEpoch != NONE && ackedEpoch >= trailEpoch) {
            trailEpoch = NONE;
            trail.removeBefore(qmp, trailNumber);
            for (int i = 0; i < disks.size(); i++) {
                ledger.copied(i, disks.get(i).disk().lengthBytes());
            }
            settled = true;
            nextTrailNs = nowNs + TRAIL_NS;
        } else if (trailEpoch == NONE && nowNs - nextTrailNs >= 0) {
            if (settled && log.tail() == trailMark) {
                nextTrailNs = nowNs + TRAIL_NS;
                return;
            }
            trailMark = log.tail();
            trailNumber = trail.add(qmp);
            trailEpoch = epoch;
        }
    }

    /**
     * QEMU drains, or may do so before it answers a command, while nobody takes: the log must take what is in flight, or neither would ever end. So
     * it is with every command of this thread, as one of somebody else's may be why QEMU drains.
     */
    public void draining(boolean on) {
        log.draining(on);
    }

    /** When {@link #flushAhead} is due before a stop; {@link Long#MAX_VALUE} if nothing is to flush. Both as {@link System#nanoTime()}. */
    public long flushNs(long stopNs) {
        return flushes.pays() ? stopNs - flushes.leadNs() : Long.MAX_VALUE;
    }

    /** When to look whether {@link #flushAhead} is due, or again; {@link Long#MAX_VALUE} if no more before that stop. */
    public long nextFlushNs(long stopNs, long nowNs) {
        long flushNs = stopNs - flushes.leadNs();
        return flushes.pays() || (flushes.useful() && flushNs > nowNs) ? flushNs : Long.MAX_VALUE;
    }

    /** Begins to flush the disks' files, so that QEMU finds little to flush in the stop that is due soon; returns at once. */
    public void flushAhead() {
        flushes.begin();
    }

    /** Waits for the flushes ahead, but not long for disks that are slow. */
    public void awaitFlushed() {
        flushes.await();
    }

    /** In a hold, behind the boundary: what has come by now is this epoch's. */
    public void mark() {
        mark = log.tail();
        flushedNs = log.flushedNs();
    }

    /**
     * When QEMU last had a mirror flushed, as of the last {@link #mark()}, {@link System#nanoTime()}; 0 if never. Guests' flushes do not come to a mirror
     * (block/mirror.c, {@code bdrv_mirror_top_flush}), those of QEMU's stops do ({@code bdrv_flush_all} in block/io.c), behind the flushes of the disks
     * themselves, and whether anything was written or not (block/nbd.c, {@code bdrv_co_flush_to_os}).
     */
    public long flushedNs() {
        return flushedNs;
    }

    /** An epoch of a first copy ends: what has come by now is this epoch's, and what is copied by now is known to be so when it is acknowledged. */
    public void markCopied(long epoch) {
        DiskCopy under = copy;
        if (copiedEpoch == NONE && under != null) {
            for (int i = 0; i < copiedEnds.length; i++) {
                copiedEnds[i] = under.position(i);
            }
            copiedEpoch = epoch;
        }
        mark();
    }

    /** The peer has the epoch and those before. */
    public void acknowledged(long epoch) {
        if (ledger != null && copiedEpoch != NONE && epoch >= copiedEpoch) {
            copiedEpoch = NONE;
            for (int i = 0; i < copiedEnds.length; i++) {
                ledger.copied(i, copiedEnds[i]);
            }
        }
    }

    /** Whether so much waits that it should be taken now. */
    public boolean waits() {
        return log.waitingBytes() > (references.pay() ? WAITING_BYTES_REFERRED : WAITING_BYTES);
    }

    /** When so much may wait that it should be taken, {@link System#nanoTime()}: the log tells of a quarter of it, and of nothing less. */
    public long nextTakeNs(long nowNs) {
        return present() && !references.pay() ? nowNs + POLL_NS : Long.MAX_VALUE;
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

    /** As {@link #takeMarked}, behind all of the epoch's memory: pages whose content is there need not travel. */
    public void takeMarkedLast() throws LockstepException {
        references.look();
        pages.memoryPublished(true);
        try {
            takeMarked();
        } finally {
            pages.memoryPublished(false);
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

    /** How each disk's copy stands, in the stream's order; any thread. */
    public List<DiskProgress> progress() {
        DiskCopy latest = lastCopy;
        List<DiskProgress> list = new ArrayList<>();
        for (int i = 0; i < disks.size(); i++) {
            list.add(new DiskProgress(
                    disks.get(i),
                    ready,
                    latest == null ? 0 : latest.doneBytes(i),
                    latest == null ? 0 : latest.totalBytes(i),
                    latest == null ? 0 : latest.tookNs(i)));
        }
        return list;
    }

    /** Bytes read of the disks to copy them, since this protection began in this process; any thread. */
    public long readBytes() {
        return readBytes.sum();
    }

    /** How regularly its threads come round: {@code disk-0}, ... for the mirrors' servers, and {@code disk-copy}; empty without disks. Any thread. */
    public Map<String, DutyCycle> rounds() {
        Map<String, DutyCycle> rounds = new LinkedHashMap<>();
        for (int i = 0; i < mirrors.size(); i++) {
            rounds.put("disk-" + i, mirrors.get(i).rounds());
        }
        if (present()) {
            rounds.put("disk-copy", copying);
        }
        return rounds;
    }

    /** The disks, in the stream's order. */
    public List<GuestDisk> disks() {
        return disks;
    }

    /**
     * Takes everything of ours out of QEMU; while it lives.
     *
     * @param forGood if not, what a next life of the agent needs stays: the bitmaps
     */
    public void remove(boolean forGood) throws LockstepException {
        if (exports != null) {
            end();
            exports.stop(qmp);
            DiskMirror.removeLeftovers(qmp);
            trail.removeCollected(qmp);
            if (forGood) {
                trail.removeAll(qmp);
            }
        }
    }

    /** Protection is over: what would outlive this process goes. After {@link #close()}. */
    public void forget() throws IOException {
        if (ledger != null && !stuck) {
            ledger.delete();
        }
    }

    /** Ends the servers and the copy; a QEMU that still mirrors goes on without. */
    @Override
    public void close() {
        end();
        log.close();
        flushes.close();
        mirrors.forEach(DiskMirror::close);
        if (ledger != null && !stuck) {
            ledger.close();
        }
    }
}
