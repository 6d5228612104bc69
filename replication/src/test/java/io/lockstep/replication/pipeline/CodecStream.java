package io.lockstep.replication.pipeline;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.agrona.BufferUtil;
import org.agrona.concurrent.UnsafeBuffer;

/** Encodes pages of a model one by one, without a ring, and keeps the records. */
final class CodecStream {
    final PageCodec codec;
    final List<byte[]> records = new ArrayList<>();
    final long[] encodings = new long[Encoding.COUNT];
    private final ByteBuffer slot = BufferUtil.allocateDirectAligned(PageModel.PAGE_BYTES + PageDelta.SLACK_BYTES, 64);
    private final UnsafeBuffer slotBuffer = new UnsafeBuffer(slot);
    private final long slotAddress = BufferUtil.address(slot);
    private long clockNs;

    CodecStream(long cacheBytes) {
        // Every reading is 1 µs after the one before: LZ4 always seems to take 1 µs.
        codec = new PageCodec(new PageCache(cacheBytes), () -> clockNs += 1_000);
    }

    Encoding send(PageModel guest, int block, int page, int flags) {
        slotBuffer.putBytes(0, guest.blocks[block][page]);
        int payloadBytes = codec.encode(slot, slotAddress, 0, block, page, flags);
        Encoding encoding = codec.encoding();
        encodings[encoding.code()]++;
        if (encoding != Encoding.UNCHANGED) {
            byte[] record = new byte[PageRecord.HEADER_BYTES + payloadBytes];
            UnsafeBuffer into = new UnsafeBuffer(record);
            PageRecord.header(into, 0, block, encoding.code(), page, payloadBytes);
            into.putBytes(PageRecord.HEADER_BYTES, slotBuffer, 0, payloadBytes);
            records.add(record);
        }
        return encoding;
    }

    /** All records from one to another, exclusive, as a batch's pages. */
    byte[] batch(int from, int to) {
        int length = records.subList(from, to).stream().mapToInt(r -> r.length).sum();
        byte[] pages = new byte[length];
        int at = 0;
        for (byte[] record : records.subList(from, to)) {
            System.arraycopy(record, 0, pages, at, record.length);
            at += record.length;
        }
        return pages;
    }

    void applyTo(PageModel replica, int from, int to) throws Exception {
        byte[] pages = batch(from, to);
        new PageDecoder(replica.ramBlocks()).apply(new UnsafeBuffer(pages), 0, pages.length, to - from, replica);
    }
}
