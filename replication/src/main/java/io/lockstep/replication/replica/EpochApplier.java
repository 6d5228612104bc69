package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.journal.EpochJournal;
import io.lockstep.replication.journal.JournalReader;
import io.lockstep.replication.pipeline.DeviceStateCodec;
import io.lockstep.replication.pipeline.PageDecoder;
import io.lockstep.replication.pipeline.PageFormatException;
import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.RunState;
import io.lockstep.replication.wire.VerifyHashesDecoder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;

/**
 * Brings committed epochs from the journal into the replica's files, one whole epoch after another; the same code while the primary
 * streams and after a restart.
 *
 * <p>Invariants. Only a committed epoch is applied. An epoch that was applied in part is applied again from its beginning: every page
 * record may be applied twice. After an error nothing more is applied: the replica is lost.
 *
 * <p>One thread, but for {@link #applied()}; nothing is allocated per page or epoch but at a mismatch.
 */
final class EpochApplier implements AutoCloseable {
    static final int DEVICE_STATE_BYTES_MAX = 1 << 20; // what an EpochEnd can carry

    private final EpochJournal journal;
    private final ReplicaPages pages;
    private final ReplicaMarker marker;
    private final PageDecoder decoder;
    private final PageComparison comparison;
    private final JournalReader reader;
    private final MessageHeaderDecoder header = new MessageHeaderDecoder();
    private final EpochBeginDecoder begin = new EpochBeginDecoder();
    private final PageBatchDecoder batch = new PageBatchDecoder();
    private final EpochEndDecoder end = new EpochEndDecoder();
    private final VerifyHashesDecoder hashes = new VerifyHashesDecoder();
    private final ByteBuffer deviceState = BufferUtil.allocateDirectAligned(DEVICE_STATE_BYTES_MAX, 4096);
    private final DeviceStateCodec deviceStates = new DeviceStateCodec(DEVICE_STATE_BYTES_MAX);
    private RunState runState = RunState.RUNNING;
    private boolean failed;
    private final AtomicReference<@Nullable Runnable> boundary = new AtomicReference<>();
    private volatile long applied;

    EpochApplier(ReplicaStore.Content content, ScrubListener listener) {
        journal = content.journal();
        marker = content.marker();
        pages = content.pages();
        decoder = pages.decoder();
        comparison = new PageComparison(content.files(), listener);
        reader = journal.reader();
        deviceState.limit(0);
        applied = marker.epoch();
    }

    /** Last epoch that is whole in the files, of either kind; any thread. */
    long applied() {
        return applied;
    }

    /** Device state of the last DELTA epoch applied, from position 0 to its limit; for whoever knows the applier idle. */
    ByteBuffer deviceState() {
        return deviceState.duplicate();
    }

    /** Whether the VM ran at that epoch. */
    RunState runState() {
        return runState;
    }

    /**
     * After a restart: reads the device state of the applied epoch, applies what the journal has beyond, and forgets what can never be
     * applied.
     *
     * @throws LockstepException the replica is lost: its journal is damaged, or an epoch was applied in part and is not there
     */
    void recover() throws LockstepException, IOException {
        if (marker.is(ReplicaMarker.BASELINE)) {
            reader.moveTo(marker.endIndex());
            if (!reader.next() || reader.kind() != EpochEndDecoder.TEMPLATE_ID) {
                throw lost("the device state of epoch " + marker.deltaEpoch() + " is not in the journal");
            }
            takeDeviceState(marker.deltaEpoch());
        }
        boolean half = marker.is(ReplicaMarker.APPLYING);
        while (applyNext(false)) {
            half = false;
        }
        if (half) {
            throw lost("epoch " + (applied + 1) + " was applied in part and is not in the journal");
        }
        journal.dropFrom(applied + 1);
    }

    /**
     * Has something run between two epochs, on the applier's thread. It must be short: no epoch is applied meanwhile. Any thread.
     *
     * @return false if another one waits
     */
    boolean atBoundary(Runnable task) {
        return boundary.compareAndSet(null, task);
    }

    /**
     * Applies the next committed epoch.
     *
     * @return false if there is none
     */
    boolean doWork() throws LockstepException, IOException {
        Runnable task = boundary.get();
        if (task != null && boundary.compareAndSet(task, null)) {
            task.run();
        }
        return applyNext(true);
    }

    /** The files got all of a SYNC epoch, past the journal. The caller knows the applier idle. */
    void synced(long epoch) throws IOException {
        marker.synced(epoch);
        applied = epoch;
    }

    @Override
    public void close() {
        reader.close();
    }

    private boolean applyNext(boolean live) throws LockstepException, IOException {
        long epoch = applied < 0 ? journal.oldestEpoch() : applied + 1;
        long beginIndex = epoch < 0 ? -1 : journal.beginIndex(epoch);
        if (beginIndex < 0) {
            return false;
        }
        if (failed) {
            throw lost("applying failed before");
        }
        failed = true;
        apply(epoch, beginIndex, live);
        EpochTrace.done(EpochStage.APPLIED, epoch, System.nanoTime());
        failed = false;
        return true;
    }

    private void apply(long epoch, long beginIndex, boolean live) throws LockstepException, IOException {
        long endIndex = journal.endIndex(epoch);
        marker.applying();
        decoder.beginEpoch();
        reader.moveTo(beginIndex);
        long count = 0;
        boolean verify = false;
        while (true) {
            if (!reader.next()) {
                throw lost("epoch " + epoch + " ends in the journal before its EpochEnd");
            }
            int kind = reader.kind();
            if (kind == PageBatchDecoder.TEMPLATE_ID) {
                count += applyBatch(epoch);
            } else if (kind == VerifyHashesDecoder.TEMPLATE_ID) {
                verify = true;
            } else if (kind == EpochEndDecoder.TEMPLATE_ID) {
                break;
            } else if (kind == EpochBeginDecoder.TEMPLATE_ID) {
                begin.wrapAndApplyHeader(reader.buffer(), reader.offset(), header);
                check("epoch", begin.epoch(), epoch);
            }
        }
        check("journal index", reader.index(), endIndex);
        pages.flush();
        takeDeviceState(epoch);
        check("pages of epoch " + epoch, count, end.pageCount());
        marker.applied(epoch, endIndex);
        if (live) {
            compareScrub(epoch);
            if (verify) {
                compareAll(epoch, beginIndex, endIndex);
            }
        }
        applied = epoch;
        journal.trim(beginIndex);
    }

    private int applyBatch(long epoch) throws LockstepException, IOException {
        batch.wrapAndApplyHeader(reader.buffer(), reader.offset(), header);
        check("epoch", batch.epoch(), epoch);
        int count = (int) batch.pageCount();
        int length = batch.pagesLength();
        int offset = batch.limit() + PageBatchDecoder.pagesHeaderLength();
        try {
            decoder.apply(reader.buffer(), offset, length, count, pages);
        } catch (PageFormatException e) {
            throw lost("epoch " + epoch + ": " + e.getMessage());
        }
        return count;
    }

    private void takeDeviceState(long epoch) throws LockstepException {
        end.wrapAndApplyHeader(reader.buffer(), reader.offset(), header);
        check("epoch", end.epoch(), epoch);
        runState = end.runState();
        end.skipScrub();
        int stateBytes = (int) end.deviceStateBytes();
        int length = end.deviceStateLength();
        int at = end.limit() + EpochEndDecoder.deviceStateHeaderLength();
        if (!deviceStates.decode(reader.buffer(), at, length, stateBytes, deviceState)) {
            // The receiver has decoded it before it was committed: the journal changed since.
            throw new LockstepException(
                    "journal-corrupt",
                    "The device state of epoch " + epoch + " is damaged in the journal: " + length
                            + " bytes are no state of " + stateBytes
                            + ". The replica is dropped; protect the VM again.");
        }
    }

    private void compareScrub(long epoch) throws IOException {
        end.wrapAndApplyHeader(reader.buffer(), reader.offset(), header);
        int length = end.scrubLength();
        int offset = end.limit() + EpochEndDecoder.scrubHeaderLength();
        comparison.scrub(epoch, reader.buffer(), offset, length);
    }

    private void compareAll(long epoch, long beginIndex, long endIndex) throws LockstepException, IOException {
        reader.moveTo(beginIndex);
        comparison.begin(epoch);
        while (reader.next() && reader.index() != endIndex) {
            if (reader.kind() == VerifyHashesDecoder.TEMPLATE_ID) {
                hashes.wrapAndApplyHeader(reader.buffer(), reader.offset(), header);
                int length = hashes.hashesLength();
                int offset = hashes.limit() + VerifyHashesDecoder.hashesHeaderLength();
                comparison.hashes(
                        hashes.block(), (int) hashes.firstPage(), reader.buffer(), offset, length, hashes.last() != 0);
            }
        }
    }

    private static void check(String what, long found, long expected) throws LockstepException {
        if (found != expected) {
            throw lost(what + " " + found + " != " + expected);
        }
    }

    static LockstepException lost(String cause) {
        return new LockstepException("replica-lost", "The replica is lost: " + cause + ". The VM is copied again.");
    }
}
