package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.zip.CRC32C;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Turns the records of a batch into pages. Trusts nothing: a record is checked whole before the sink sees it, and no byte is
 * written but to the decoder's own two page buffers. One thread; allocates nothing but for exceptions.
 */
public final class PageDecoder {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;

    private final int memoryBlocks;
    private final int[] pageCounts;
    private final LZ4SafeDecompressor lz4 = LZ4Factory.fastestInstance().safeDecompressor();
    private final ByteBuffer payload = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private final long payloadAddress = BufferUtil.address(payload);
    private final UnsafeBuffer payloadBuffer = new UnsafeBuffer(payload);
    private final ByteBuffer page = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
    private final long pageAddress = BufferUtil.address(page);
    private final CRC32C crc = new CRC32C();
    /** A page of the epoch has referred to memory. */
    private boolean referred;

    /**
     * @param memoryBlocks how many of the stream's blocks, from the first on, are memory; those behind them are disks
     * @param pageCounts pages of each block of the stream
     */
    public PageDecoder(int memoryBlocks, int... pageCounts) {
        this.memoryBlocks = memoryBlocks;
        this.pageCounts = pageCounts.clone();
    }

    /** @param blocks the session's RAM blocks, block i at index i; there is nothing else */
    public PageDecoder(List<RamBlock> blocks) {
        this(blocks.size(), blocks.stream().mapToInt(RamBlock::pageCount).toArray());
    }

    /** The batches that follow are those of another epoch, or of one that starts again. */
    public void beginEpoch() {
        referred = false;
    }

    /**
     * Hands every page of a batch to the sink, in order.
     *
     * @param pages from {@code offset} for {@code length} bytes: {@code PageBatch.pages}
     * @param pageCount records that must be there
     * @throws PageFormatException at the first record that breaks a rule; the sink has seen those before it
     */
    public void apply(DirectBuffer pages, int offset, int length, int pageCount, PageSink sink)
            throws PageFormatException, IOException {
        decode(pages, offset, length, pageCount, sink);
    }

    /**
     * Checks a batch as {@link #apply} would, LZ4 content included, and applies nothing.
     *
     * @throws PageFormatException at the first record that breaks a rule
     */
    public void check(DirectBuffer pages, int offset, int length, int pageCount) throws PageFormatException {
        try {
            decode(pages, offset, length, pageCount, null);
        } catch (IOException e) {
            throw new AssertionError("no sink, no I/O", e);
        }
    }

    private void decode(DirectBuffer pages, int offset, int length, int pageCount, @Nullable PageSink sink)
            throws PageFormatException, IOException {
        pages.boundsCheck(offset, length);
        int at = offset;
        int end = offset + length;
        for (int i = 0; i < pageCount; i++) {
            if (end - at < PageRecord.HEADER_BYTES) {
                throw malformed(i, "header of " + PageRecord.HEADER_BYTES + " > " + (end - at) + " bytes left");
            }
            int payloadBytes = PageRecord.payloadBytes(pages, at);
            if (payloadBytes > end - at - PageRecord.HEADER_BYTES) {
                throw malformed(
                        i, "payload of " + payloadBytes + " > " + (end - at - PageRecord.HEADER_BYTES) + " bytes left");
            }
            record(pages, at, payloadBytes, i, sink);
            at += PageRecord.HEADER_BYTES + payloadBytes;
        }
        if (at != end) {
            throw malformed(pageCount, (end - at) + " bytes after the last record");
        }
    }

    private void record(DirectBuffer pages, int at, int payloadBytes, int index, @Nullable PageSink sink)
            throws PageFormatException, IOException {
        int block = PageRecord.block(pages, at);
        if (block >= pageCounts.length) {
            throw malformed(index, "block " + block + " not in 0.." + (pageCounts.length - 1));
        }
        long number = PageRecord.page(pages, at);
        if (number >= pageCounts[block]) {
            throw malformed(index, "page " + number + " of block " + block + " not in 0.." + (pageCounts[block] - 1));
        }
        if (PageRecord.flags(pages, at) != 0) {
            throw malformed(index, "flags " + PageRecord.flags(pages, at) + " != 0");
        }
        if (referred && block < memoryBlocks) {
            throw malformed(index, "block " + block + " is memory, and behind a page that refers to it");
        }
        int code = PageRecord.encoding(pages, at);
        if (code >= Encoding.COUNT) {
            throw malformed(index, "encoding " + code + " unknown");
        }
        if (payloadBytes > PAGE_BYTES) {
            throw malformed(index, "payload of " + payloadBytes + " > " + PAGE_BYTES);
        }
        // SAFETY of the addresses below: payload and page are 4096 bytes each, this object's; payloadBytes <= 4096,
        // checked.
        if (payloadBytes > 0) {
            pages.getBytes(at + PageRecord.HEADER_BYTES, payloadBuffer, 0, payloadBytes);
        }
        int number32 = (int) number;
        switch (Encoding.of(code)) {
            case ZERO -> {
                exactly(index, payloadBytes, 0);
                if (sink != null) {
                    sink.zero(block, number32);
                }
            }
            case RAW -> {
                exactly(index, payloadBytes, PAGE_BYTES);
                if (sink != null) {
                    sink.write(block, number32, payload.clear());
                }
            }
            case LZ4 -> {
                expand(index, payloadBytes);
                if (sink != null) {
                    sink.write(block, number32, page.clear());
                }
            }
            case DELTA -> delta(block, number32, index, payloadBytes, sink);
            case REFERENCE -> reference(block, number32, index, payloadBytes, sink);
            case UNCHANGED -> throw malformed(index, "encoding 1 (UNCHANGED) never travels");
        }
    }

    private void delta(int block, int number, int index, int payloadBytes, @Nullable PageSink sink)
            throws PageFormatException, IOException {
        if (payloadBytes == 0) {
            throw malformed(index, "delta is empty");
        }
        String wrong = PageDelta.check(payloadAddress, payloadBytes);
        if (wrong != null) {
            throw malformed(index, wrong);
        }
        if (sink != null) {
            sink.read(block, number, page.clear());
            PageDelta.patch(payloadAddress, payloadBytes, pageAddress);
            sink.write(block, number, page.clear());
        }
    }

    private void reference(int block, int number, int index, int payloadBytes, @Nullable PageSink sink)
            throws PageFormatException, IOException {
        exactly(index, payloadBytes, PageReference.BYTES);
        if (block < memoryBlocks) {
            throw malformed(index, "block " + block + " is memory, which refers to nothing");
        }
        int ofBlock = PageReference.block(payloadBuffer, 0);
        if (ofBlock >= memoryBlocks) {
            throw malformed(index, "block " + ofBlock + " referred to not in 0.." + (memoryBlocks - 1));
        }
        long ofPage = PageReference.page(payloadBuffer, 0);
        if (ofPage >= pageCounts[ofBlock]) {
            throw malformed(
                    index,
                    "page " + ofPage + " of block " + ofBlock + " referred to not in 0.." + (pageCounts[ofBlock] - 1));
        }
        referred = true;
        if (sink != null) {
            sink.read(ofBlock, (int) ofPage, page.clear());
            int found = PageReference.checksum(crc, page, 0);
            int expected = PageReference.checksum(payloadBuffer, 0);
            if (found != expected) {
                throw malformed(
                        index,
                        String.format(
                                "page %d of block %d referred to has checksum %08x != %08x",
                                ofPage, ofBlock, found, expected));
            }
            sink.write(block, number, page.clear());
        }
    }

    private void expand(int index, int payloadBytes) throws PageFormatException {
        int expanded;
        try {
            expanded = lz4.decompress(payload, 0, payloadBytes, page, 0, PAGE_BYTES);
        } catch (LZ4Exception e) {
            throw malformed(index, "LZ4 block of " + payloadBytes + " bytes is damaged");
        }
        exactly(index, expanded, PAGE_BYTES);
    }

    private static void exactly(int index, int bytes, int expected) throws PageFormatException {
        if (bytes != expected) {
            throw malformed(index, bytes + " bytes != " + expected);
        }
    }

    private static PageFormatException malformed(int index, String what) {
        return new PageFormatException("page record " + index + ": " + what);
    }
}
