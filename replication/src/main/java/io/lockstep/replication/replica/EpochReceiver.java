package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.pipeline.DeviceStateCodec;
import io.lockstep.replication.pipeline.PageDecoder;
import io.lockstep.replication.pipeline.PageFormatException;
import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.VerifyHashesDecoder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Takes the stream of one session: verifies, stages in the journal, commits, acknowledges.
 *
 * <p>Invariants. Nothing that was not checked is committed: order, counts, checksum, every record's block, page, encoding and length. An
 * epoch that does not end does not count. SYNC epochs go straight to the files, after the applier has caught up, and only after the marker
 * says so. An acknowledgement is sent after the commit, at the level configured, and waits while the applier is too far behind.
 *
 * <p>One thread. Errors are {@link LinkException}s; the session ends with the first. Nothing is allocated per page, batch or epoch.
 */
final class EpochReceiver {
    private static final int HASH_BYTES = 8;

    private final ReplicaStore.Content content;
    private final List<RamBlock> blocks;
    private final EpochApplier applier;
    private final AppliedWait wait;
    private final AckSink acks;
    private final AckLevel ackLevel;
    private final int applyLagMax;
    private final PageDecoder decoder;
    private final BufferChecksum checksum = new BufferChecksum();
    private final DeviceStateCodec deviceStates = new DeviceStateCodec(EpochApplier.DEVICE_STATE_BYTES_MAX);
    private final ByteBuffer deviceState = BufferUtil.allocateDirectAligned(EpochApplier.DEVICE_STATE_BYTES_MAX, 4096);
    private final MessageHeaderDecoder header = new MessageHeaderDecoder();
    private final EpochBeginDecoder begin = new EpochBeginDecoder();
    private final PageBatchDecoder batch = new PageBatchDecoder();
    private final EpochEndDecoder end = new EpochEndDecoder();
    private final VerifyHashesDecoder hashes = new VerifyHashesDecoder();
    private @Nullable EpochKind openKind;
    private long openEpoch = -1;
    private long openPages;
    private long openBytes;
    private boolean consistent;
    private volatile long committed;

    /** Where acknowledgements go. */
    interface AckSink {
        /** The epoch is held at the acknowledgement level. */
        void ack(long epoch, long appliedEpoch) throws LinkException;
    }

    EpochReceiver(
            ReplicaStore.Content content,
            EpochApplier applier,
            AppliedWait wait,
            AckSink acks,
            AckLevel ackLevel,
            int applyLagMax) {
        this.content = content;
        this.blocks = content.files().blocks();
        this.applier = applier;
        this.wait = wait;
        this.acks = acks;
        this.ackLevel = ackLevel;
        this.applyLagMax = applyLagMax;
        decoder = content.pages().decoder();
        consistent =
                content.marker().is(ReplicaMarker.BASELINE) && !content.marker().is(ReplicaMarker.SYNCING);
        committed = Math.max(applier.applied(), content.journal().newestEpoch());
    }

    /** Last whole epoch, of either kind; any thread. */
    long committedEpoch() {
        return committed;
    }

    /** Whether the last committed epoch is a state of the VM, with nothing of a SYNC epoch since. */
    boolean consistent() {
        return consistent;
    }

    /** Takes EpochBegin, PageBatch, VerifyHashes or EpochEnd, whose shape has been checked. */
    void onStream(int template, DirectBuffer buffer, int offset, int length) throws LinkException {
        try {
            switch (template) {
                case PageBatchDecoder.TEMPLATE_ID -> onBatch(buffer, offset, length);
                case EpochBeginDecoder.TEMPLATE_ID -> onBegin(buffer, offset, length);
                case EpochEndDecoder.TEMPLATE_ID -> onEnd(buffer, offset, length);
                case VerifyHashesDecoder.TEMPLATE_ID -> onHashes(buffer, offset, length);
                default -> throw corrupt("message-unexpected", "message type " + template + " is not expected here");
            }
        } catch (LinkException e) {
            throw e;
        } catch (LockstepException e) {
            throw new LinkException(Kind.REFUSED, e.code(), String.valueOf(e.getMessage()), e);
        } catch (IOException e) {
            LockstepException failure = ReplicaIo.failure(e);
            throw new LinkException(Kind.REFUSED, failure.code(), String.valueOf(failure.getMessage()), e);
        }
    }

    private void onBegin(DirectBuffer buffer, int offset, int length) throws LockstepException, IOException {
        begin.wrapAndApplyHeader(buffer, offset, header);
        long epoch = begin.epoch();
        if (committed < 0 ? epoch < 0 : epoch != committed + 1) {
            throw corrupt(
                    "epoch-order",
                    "EpochBegin " + epoch + " != " + (committed + 1) + ", the one after the last committed");
        }
        EpochKind kind = begin.kind();
        if (kind == EpochKind.SYNC) {
            wait.await(committed);
            consistent = false;
            content.marker().syncing();
        } else {
            content.journal().append(buffer, offset, length);
        }
        decoder.beginEpoch();
        openKind = kind;
        openEpoch = epoch;
        openPages = 0;
        openBytes = 0;
        checksum.reset();
    }

    private void onBatch(DirectBuffer buffer, int offset, int length) throws LockstepException, IOException {
        batch.wrapAndApplyHeader(buffer, offset, header);
        checkOpen("PageBatch", batch.epoch());
        int bytes = batch.pagesLength();
        int at = batch.limit() + PageBatchDecoder.pagesHeaderLength();
        long pages = batch.pageCount();
        if (pages > bytes) {
            throw corrupt(
                    "page-malformed", "PageBatch of epoch " + openEpoch + ": pages " + pages + " > bytes " + bytes);
        }
        try {
            if (openKind == EpochKind.SYNC) {
                decoder.apply(buffer, at, bytes, (int) pages, content.pages());
            } else {
                decoder.check(buffer, at, bytes, (int) pages);
                content.journal().append(buffer, offset, length);
            }
        } catch (PageFormatException e) {
            throw corrupt("page-malformed", "PageBatch of epoch " + openEpoch + ": " + e.getMessage());
        }
        checksum.update(buffer, at, bytes);
        openPages += pages;
        openBytes += bytes;
    }

    private void onEnd(DirectBuffer buffer, int offset, int length) throws LockstepException, IOException {
        end.wrapAndApplyHeader(buffer, offset, header);
        checkOpen("EpochEnd", end.epoch());
        if (end.kind() != openKind) {
            throw corrupt(
                    "epoch-kind",
                    "EpochEnd " + openEpoch + " kind " + end.kind() + " != " + openKind + " of its EpochBegin");
        }
        checkSum("page count", end.pageCount(), openPages);
        checkSum("page bytes", end.pageBytes(), openBytes);
        checkSum("checksum", end.pagesChecksum(), checksum.value());
        checkScrub(buffer);
        end.skipScrub();
        int stateBytes = end.deviceStateLength();
        boolean sync = openKind == EpochKind.SYNC;
        if (sync != (stateBytes == 0)) {
            throw corrupt(
                    "epoch-state",
                    "EpochEnd " + openEpoch + " kind " + openKind + " has " + stateBytes + " bytes of device state");
        }
        if (!sync) {
            checkState(buffer, stateBytes, (int) end.deviceStateBytes());
        }
        long epoch = openEpoch;
        EpochTrace.done(EpochStage.RECEIVED, epoch, System.nanoTime());
        if (sync) {
            content.pages().flush();
            applier.synced(epoch);
        } else {
            content.journal().append(buffer, offset, length);
            if (ackLevel == AckLevel.JOURNAL) {
                content.journal().sync();
            }
        }
        EpochTrace.done(EpochStage.JOURNALED, epoch, System.nanoTime());
        openKind = null;
        consistent = !sync;
        committed = epoch;
        if (epoch - applier.applied() > applyLagMax) {
            wait.await(epoch - applyLagMax);
        }
        try {
            acks.ack(epoch, applier.applied());
        } finally {
            wait.committed(); // after the acknowledgement: on a busy host the applier would run first
        }
    }

    private void onHashes(DirectBuffer buffer, int offset, int length) throws LockstepException {
        hashes.wrapAndApplyHeader(buffer, offset, header);
        checkOpen("VerifyHashes", hashes.epoch());
        int bytes = hashes.hashesLength();
        checkPages("VerifyHashes", hashes.block(), hashes.firstPage(), bytes / HASH_BYTES);
        if (bytes % HASH_BYTES != 0) {
            throw corrupt(
                    "hashes-malformed",
                    "VerifyHashes of epoch " + openEpoch + ": " + bytes + " bytes are no hashes of " + HASH_BYTES);
        }
        if (openKind == EpochKind.SYNC) {
            throw corrupt("epoch-kind", "VerifyHashes in epoch " + openEpoch + " of kind SYNC, which has no boundary");
        }
        content.journal().append(buffer, offset, length);
    }

    private void checkState(DirectBuffer buffer, int length, int stateBytes) throws LinkException {
        int at = end.limit() + EpochEndDecoder.deviceStateHeaderLength();
        if (!deviceStates.decode(buffer, at, length, stateBytes, deviceState)) {
            throw corrupt(
                    "epoch-state",
                    "EpochEnd " + openEpoch + ": " + length + " bytes are no device state of " + stateBytes + " bytes");
        }
    }

    private void checkScrub(DirectBuffer buffer) throws LinkException {
        int bytes = end.scrubLength();
        int from = end.limit() + EpochEndDecoder.scrubHeaderLength();
        if (bytes % PageComparison.SCRUB_RECORD_BYTES != 0) {
            throw corrupt(
                    "hashes-malformed",
                    "EpochEnd " + openEpoch + ": " + bytes + " bytes are no scrub records of "
                            + PageComparison.SCRUB_RECORD_BYTES);
        }
        for (int at = from; at < from + bytes; at += PageComparison.SCRUB_RECORD_BYTES) {
            int block = buffer.getShort(at, ByteOrder.LITTLE_ENDIAN) & 0xffff;
            checkPages("EpochEnd", block, buffer.getInt(at + 4, ByteOrder.LITTLE_ENDIAN) & 0xffff_ffffL, 1);
        }
    }

    private void checkPages(String what, int block, long first, int count) throws LinkException {
        if (block >= blocks.size()) {
            throw corrupt(
                    "hashes-malformed",
                    what + " of epoch " + openEpoch + ": block " + block + " not in 0.." + (blocks.size() - 1));
        }
        if (first + count > blocks.get(block).pageCount()) {
            throw corrupt(
                    "hashes-malformed",
                    what + " of epoch " + openEpoch + ": page " + (first + count - 1) + " of block " + block
                            + " not in 0.." + (blocks.get(block).pageCount() - 1));
        }
    }

    private void checkOpen(String what, long epoch) throws LinkException {
        if (openKind == null) {
            throw corrupt("epoch-order", what + " of epoch " + epoch + " without EpochBegin");
        }
        if (epoch != openEpoch) {
            throw corrupt("epoch-order", what + " of epoch " + epoch + " != " + openEpoch + ", the one begun");
        }
    }

    private void checkSum(String what, long stated, long counted) throws LinkException {
        if (stated != counted) {
            throw corrupt(
                    "epoch-sums", "EpochEnd " + openEpoch + " " + what + " " + stated + " != " + counted + " received");
        }
    }

    private static LinkException corrupt(String code, String message) {
        return new LinkException(Kind.CORRUPT, code, message);
    }
}
