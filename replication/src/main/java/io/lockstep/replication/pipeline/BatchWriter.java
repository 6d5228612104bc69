package io.lockstep.replication.pipeline;

import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.PageBatchEncoder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;

/** Packs encoded pages into PageBatch messages and keeps the epoch's sums. The sealer's thread; allocates nothing. */
final class BatchWriter {
    private static final int LENGTH_AT = MessageHeaderEncoder.ENCODED_LENGTH + PageBatchEncoder.BLOCK_LENGTH;
    private static final int PAGES_AT = LENGTH_AT + PageBatchEncoder.pagesHeaderLength();

    private final Outbox outbox;
    private final PipelineCounters counters;
    private final UnsafeBuffer arena;
    private final ByteBuffer bytes;
    private final UnsafeBuffer buffer;
    private final int sealBytes;
    private final MessageHeaderEncoder header = new MessageHeaderEncoder();
    private final PageBatchEncoder encoder = new PageBatchEncoder();
    private final CRC32C checksum = new CRC32C();
    private final EpochCounts counts = new EpochCounts();
    private int at = PAGES_AT;
    private int pages;

    BatchWriter(Outbox outbox, PipelineCounters counters, ByteBuffer arena, int batchBytes) {
        this.outbox = outbox;
        this.counters = counters;
        this.arena = new UnsafeBuffer(arena);
        this.sealBytes = batchBytes;
        this.bytes = BufferUtil.allocateDirectAligned(batchBytes + PageRecord.BYTES_MAX, 4096);
        this.buffer = new UnsafeBuffer(bytes);
    }

    /** What the epoch has come to so far. */
    EpochCounts counts() {
        return counts;
    }

    /** CRC32C of the pages data of all batches sent in the epoch. */
    int checksum() {
        return (int) checksum.getValue();
    }

    /** Starts an epoch; what was not sent of the one before is dropped. */
    void begin(EpochFields fields) {
        counts.clear(fields.epoch, fields.kind);
        checksum.reset();
        drop();
    }

    /** Forgets the pages of the batch that was begun. */
    void drop() {
        at = PAGES_AT;
        pages = 0;
    }

    /** Bytes of records waiting. */
    int waitingBytes() {
        return at - PAGES_AT;
    }

    /** Appends a page whose payload begins at an offset of the arena; sends the batch when it is full. */
    void append(PageSlot slot, int payloadOffset) throws LinkException {
        Encoding encoding = slot.encoding;
        int code = encoding.code();
        counts.pages[code]++;
        if ((slot.flags & PageCodec.FLAG_MAY_REFER) != 0 && encoding != Encoding.ZERO) {
            counts.referable++;
        }
        if (encoding == Encoding.UNCHANGED) {
            return;
        }
        int payloadBytes = slot.payloadBytes;
        PageRecord.header(buffer, at, slot.block, code, slot.page, payloadBytes);
        if (payloadBytes > 0) {
            buffer.putBytes(at + PageRecord.HEADER_BYTES, arena, payloadOffset, payloadBytes);
        }
        int recordBytes = PageRecord.HEADER_BYTES + payloadBytes;
        counts.bytes[code] += recordBytes;
        at += recordBytes;
        pages++;
        if (at >= sealBytes) {
            send();
        }
    }

    /** Sends what waits, if anything does. */
    void send() throws LinkException {
        if (pages == 0) {
            return;
        }
        int length = at - PAGES_AT;
        encoder.wrapAndApplyHeader(buffer, 0, header).epoch(counts.epoch).pageCount(pages);
        // The records are in place already; the encoder's own putPages would copy them onto themselves.
        buffer.putInt(LENGTH_AT, length, ByteOrder.LITTLE_ENDIAN);
        checksum.update(bytes.limit(at).position(PAGES_AT));
        counts.pageCount += pages;
        counts.pageBytes += length;
        counts.batches++;
        int messageBytes = at;
        drop();
        outbox.send(buffer, 0, messageBytes);
        counters.batch();
    }
}
