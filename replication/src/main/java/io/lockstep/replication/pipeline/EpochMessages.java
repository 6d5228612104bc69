package io.lockstep.replication.pipeline;

import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.wire.EpochBeginEncoder;
import io.lockstep.replication.wire.EpochEndEncoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.VerifyHashesEncoder;
import java.nio.ByteOrder;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;

/** Builds an epoch's messages other than its pages. The sealer's thread; allocates nothing. */
final class EpochMessages {
    /** u16 block, u16 reserved, u32 page, u64 hash. */
    private static final int SCRUB_RECORD_BYTES = 16;
    /** 4096 × 8 bytes = 32 KiB of hashes in a message, for 16 MiB of memory. */
    private static final int HASHES_MAX = 4096;

    private static final int HEADER_BYTES = MessageHeaderEncoder.ENCODED_LENGTH;

    private final Outbox outbox;
    private final UnsafeBuffer message;
    private final UnsafeBuffer scrub;
    private final UnsafeBuffer hashes = new UnsafeBuffer(BufferUtil.allocateDirectAligned(HASHES_MAX * 8, 64));
    private final MessageHeaderEncoder header = new MessageHeaderEncoder();
    private final EpochBeginEncoder begin = new EpochBeginEncoder();
    private final EpochEndEncoder end = new EpochEndEncoder();
    private final VerifyHashesEncoder verify = new VerifyHashesEncoder();
    private final DeviceStateCodec deviceStates;
    private int scrubBytes;
    private int hashCount;
    private int hashBlock;
    private int hashFirstPage;
    private long hashEpoch;

    EpochMessages(Outbox outbox, PipelineConfig config) {
        this.outbox = outbox;
        this.deviceStates = new DeviceStateCodec(config.deviceStateBytesMax());
        this.message = new UnsafeBuffer(BufferUtil.allocateDirectAligned(messageBytes(config), 64));
        this.scrub =
                new UnsafeBuffer(BufferUtil.allocateDirectAligned(config.scrubPagesMax() * SCRUB_RECORD_BYTES, 64));
    }

    /** Direct memory taken. */
    static long bytes(PipelineConfig config) {
        return messageBytes(config) + (long) config.scrubPagesMax() * SCRUB_RECORD_BYTES + HASHES_MAX * 8L;
    }

    private static int messageBytes(PipelineConfig config) {
        int endBytes = HEADER_BYTES
                + EpochEndEncoder.BLOCK_LENGTH
                + EpochEndEncoder.scrubHeaderLength()
                + config.scrubPagesMax() * SCRUB_RECORD_BYTES
                + EpochEndEncoder.deviceStateHeaderLength()
                + config.deviceStateBytesMax();
        int verifyBytes = HEADER_BYTES
                + VerifyHashesEncoder.BLOCK_LENGTH
                + VerifyHashesEncoder.hashesHeaderLength()
                + HASHES_MAX * 8;
        return Math.max(endBytes, verifyBytes);
    }

    /** Forgets what was collected and not sent. */
    void drop() {
        scrubBytes = 0;
        hashCount = 0;
    }

    void begin(EpochFields fields) throws LinkException {
        drop();
        begin.wrapAndApplyHeader(message, 0, header)
                .epoch(fields.epoch)
                .kind(fields.kind)
                .wallMs(fields.wallMs);
        outbox.send(message, 0, HEADER_BYTES + begin.encodedLength());
    }

    /** Collects the hash of a scrubbed page for the epoch's end. */
    void scrub(PageSlot slot) {
        int at = scrubBytes;
        if (at + SCRUB_RECORD_BYTES > scrub.capacity()) {
            throw new IllegalStateException(
                    "scrub pages of one epoch > " + scrub.capacity() / SCRUB_RECORD_BYTES + ", the configured most");
        }
        scrub.putShort(at, (short) slot.block, ByteOrder.LITTLE_ENDIAN);
        scrub.putShort(at + 2, (short) 0, ByteOrder.LITTLE_ENDIAN);
        scrub.putInt(at + 4, slot.page, ByteOrder.LITTLE_ENDIAN);
        scrub.putLong(at + 8, slot.hash, ByteOrder.LITTLE_ENDIAN);
        scrubBytes = at + SCRUB_RECORD_BYTES;
    }

    /** Collects the hash of a page; sends those before it if it does not follow them, and all after the last one. */
    void verify(PageSlot slot, long epoch) throws LinkException {
        if (hashCount > 0 && (slot.block != hashBlock || slot.page != hashFirstPage + hashCount)) {
            sendHashes(false);
        }
        if (hashCount == 0) {
            hashBlock = slot.block;
            hashFirstPage = slot.page;
            hashEpoch = epoch;
        }
        hashes.putLong(hashCount * 8, slot.hash, ByteOrder.LITTLE_ENDIAN);
        hashCount++;
        boolean last = slot.flags != 0;
        if (last || hashCount == HASHES_MAX) {
            sendHashes(last);
        }
    }

    /** Sends the hashes collected, if there are any. */
    void sendHashes(boolean last) throws LinkException {
        if (hashCount == 0) {
            return;
        }
        verify.wrapAndApplyHeader(message, 0, header)
                .epoch(hashEpoch)
                .block(hashBlock)
                .last((short) (last ? 1 : 0))
                .firstPage(hashFirstPage)
                .putHashes(hashes, 0, hashCount * 8);
        hashCount = 0;
        outbox.send(message, 0, HEADER_BYTES + verify.encodedLength());
    }

    /** Sends the epoch's end. */
    void end(EpochFields fields, EpochCounts counts, int checksum) throws LinkException {
        counts.scrubbed = scrubBytes / SCRUB_RECORD_BYTES;
        counts.deviceStateBytes = fields.deviceStateLength;
        int encodedBytes = deviceStates.encode(fields.deviceStateBytes, fields.deviceStateLength);
        end.wrapAndApplyHeader(message, 0, header)
                .epoch(fields.epoch)
                .kind(fields.kind)
                .runState(fields.runState)
                .wallMs(fields.wallMs)
                .pauseNs(fields.pauseNs)
                .pageCount(counts.pageCount)
                .pageBytes(counts.pageBytes)
                .pagesChecksum(checksum & 0xffff_ffffL)
                .deviceStateBytes(fields.deviceStateLength)
                .putScrub(scrub, 0, scrubBytes);
        if (encodedBytes > 0) {
            end.putDeviceState(deviceStates.encoded(), 0, encodedBytes);
        } else {
            end.putDeviceState(fields.deviceState, 0, fields.deviceStateLength);
        }
        scrubBytes = 0;
        outbox.send(message, 0, HEADER_BYTES + end.encodedLength());
    }
}
