package io.lockstep.replication.pipeline;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;
import org.agrona.BufferUtil;
import org.agrona.MutableDirectBuffer;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.NanoClock;

/**
 * Chooses how a page travels and encodes it in place. One thread; allocates nothing.
 *
 * <p>What it leaves is never larger than the page, and applied in order by {@link PageDecoder} gives the page's content.
 */
public final class PageCodec {
    /** The page is known to be zero; the buffer's content does not matter. */
    public static final int FLAG_ZERO = 1;

    /** Send it whole, whatever was sent before: the peer's copy is known to differ. */
    public static final int FLAG_WHOLE = 2;

    /** Do not give it a place in the cache: it is one of very many (first copy). A place that it has is kept up to date. */
    public static final int FLAG_PASSING = 4;

    /** The slot holds the payload already, encoded by whoever filled it. */
    static final int FLAG_ENCODED = 8;

    /** It is read whether it was written or not: tell whether it changed. */
    public static final int FLAG_HOT = 16;

    /** A disk's page, and no page of memory follows in this epoch: it may travel as a {@link Encoding#REFERENCE}. Of a page that never had a place in the cache. */
    public static final int FLAG_MAY_REFER = 32;

    /** Prices are in ns a byte times this, so that integers do. */
    public static final long PRICE_SCALE = LinkPrice.SCALE;

    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    /** LZ4's own bound for 4096 bytes is 4128; with less room it would throw. */
    private static final int SCRATCH_BYTES = 4160;
    /** A delta above this is compared with what LZ4 would make of the page. */
    private static final int DELTA_CLEAR_BYTES = 512;
    /** Up to here the cached page is patched while the delta is made; above, copying it whole is faster. */
    private static final int DELTA_PATCH_BYTES_MAX = 128;
    /** A delta above this is no better than raw: the peer must read, patch and write the page. */
    private static final int DELTA_BYTES_MAX = 3072;
    /** LZ4 that saves less than this is no better than raw. */
    private static final int LZ4_BYTES_MAX = PAGE_BYTES - 128;

    private final PageCache cache;
    private final NanoClock clock;
    private final CodecWorth worth = new CodecWorth();
    private final LZ4Compressor lz4 = LZ4Factory.fastestInstance().fastCompressor();
    private final ByteBuffer deltaScratch = BufferUtil.allocateDirectAligned(SCRATCH_BYTES, 64);
    private final long deltaAddress = BufferUtil.address(deltaScratch);
    private final ByteBuffer lz4Scratch = BufferUtil.allocateDirectAligned(SCRATCH_BYTES, 64);
    private final long lz4Address = BufferUtil.address(lz4Scratch);
    private final CRC32C crc = new CRC32C();
    private Encoding encoding = Encoding.RAW;
    private boolean compared;
    private boolean references;
    private int checksum;

    static {
        if (DELTA_BYTES_MAX + PageDelta.SLACK_BYTES > SCRATCH_BYTES) {
            throw new ExceptionInInitializerError("a delta must fit the scratch");
        }
    }

    /** @param clock times LZ4, to know what it is worth */
    public PageCodec(PageCache cache, NanoClock clock) {
        this.cache = cache;
        this.clock = clock;
    }

    /** Tells what a byte costs now on its way to the peer: ns × {@link #PRICE_SCALE}, at least 1; LZ4 must save more than it costs. */
    public void price(long scaledNsPerByte) {
        worth.price(scaledNsPerByte);
    }

    /** Whether pages are found by their content; before the first page of a session. */
    void references(boolean on) {
        references = on;
    }

    /** How the last page was encoded. */
    public Encoding encoding() {
        return encoding;
    }

    /** Whether the last page was compared with what was sent before, and differed. */
    public boolean changed() {
        return compared && encoding != Encoding.UNCHANGED;
    }

    /** The cache that it keeps up to date. */
    public PageCache cache() {
        return cache;
    }

    /**
     * Encodes a page; its payload replaces its content from the page's start on.
     *
     * @param pages a direct buffer, position and limit of which no other thread uses, with {@link PageDelta#SLACK_BYTES} or more behind its last page
     * @param offset where the page's 4096 bytes begin
     * @param flags of this class, added
     * @return bytes of payload, 0 to 4096; {@link #encoding()} tells how
     */
    public int encode(ByteBuffer pages, long pagesAddress, int offset, int block, int page, int flags) {
        // SAFETY of every raw address here: pagesAddress is that of pages, whose owner keeps it; a page and slack lie
        // behind
        // offset; cached addresses are whole pages of the cache's; the scratch buffers are SCRATCH_BYTES long.
        long address = pagesAddress + offset;
        long cached = cache.find(block, page);
        compared = cached != 0;
        if ((flags & FLAG_ZERO) != 0 || PageBytes.isZero(address)) {
            return zero(cached, flags);
        }
        if ((flags & FLAG_WHOLE) != 0) {
            remember(cached, pages, address, offset, block, page, flags);
            return chosen(Encoding.RAW, PAGE_BYTES);
        }
        int deltaBytes = -1;
        if (cached != 0) {
            deltaBytes = PageDelta.encode(cached, address, deltaAddress, DELTA_BYTES_MAX, DELTA_PATCH_BYTES_MAX);
            if (deltaBytes == 0) {
                return chosen(Encoding.UNCHANGED, 0);
            }
        }
        int plainBytes = deltaBytes < 0 ? PAGE_BYTES : deltaBytes;
        int lz4Bytes = PAGE_BYTES;
        int region = CodecWorth.region(block, page);
        if (plainBytes > DELTA_CLEAR_BYTES && worth.tryLz4(region, plainBytes)) {
            lz4Bytes = compress(pages, offset, region);
        }
        if (deltaBytes > 0 && deltaBytes <= DELTA_PATCH_BYTES_MAX) {
            cache.fingerprint(cached, 0);
        } else {
            remember(cached, pages, address, offset, block, page, flags);
        }
        if (lz4Bytes < plainBytes && lz4Bytes <= LZ4_BYTES_MAX) {
            UnsafeApi.copyMemory(lz4Address, address, lz4Bytes);
            return chosen(Encoding.LZ4, lz4Bytes);
        }
        if (deltaBytes > 0) {
            PageDelta.copy(deltaAddress, address, deltaBytes);
            return chosen(Encoding.DELTA, deltaBytes);
        }
        return chosen(Encoding.RAW, PAGE_BYTES);
    }

    private int zero(long cached, int flags) {
        if (cached != 0) {
            if ((flags & FLAG_WHOLE) == 0 && PageBytes.isZero(cached)) {
                return chosen(Encoding.UNCHANGED, 0);
            }
            PageBytes.zero(cached);
            cache.fingerprint(cached, 0);
        }
        return chosen(Encoding.ZERO, 0);
    }

    private int compress(ByteBuffer pages, int offset, int region) {
        // Two readings of the clock are 50 ns against some µs.
        long beganNs = clock.nanoTime();
        int bytes = lz4.compress(pages, offset, PAGE_BYTES, lz4Scratch, 0, SCRATCH_BYTES);
        worth.result(region, Math.max(0, PAGE_BYTES - bytes), clock.nanoTime() - beganNs);
        return bytes;
    }

    private void remember(long cached, ByteBuffer pages, long address, int offset, int block, int page, int flags) {
        long entry = cached;
        if (entry == 0 && (flags & FLAG_PASSING) == 0) {
            entry = cache.insert(block, page);
        }
        if (entry != 0) {
            PageBytes.copy(address, entry);
            cache.fingerprint(entry, references ? fingerprint(pages, offset) : 0);
        }
    }

    /** Never 0, which stands for none. */
    private int fingerprint(ByteBuffer pages, int offset) {
        checksum = PageReference.checksum(crc, pages, offset);
        return checksum == 0 ? 1 : checksum;
    }

    /**
     * Looks for a page that the peer holds with this content, and changes nothing.
     *
     * @param pages as for {@link #encode}
     * @return what {@link #refer} takes; 0 if there is none, or the content is zeros
     */
    long find(ByteBuffer pages, long pagesAddress, int offset) {
        long address = pagesAddress + offset;
        if (!references || PageBytes.isZero(address)) {
            return 0;
        }
        return cache.findContent(fingerprint(pages, offset), address);
    }

    /**
     * Encodes the page for which {@link #find} was called last.
     *
     * @param into of the page's 4096 bytes, which the payload replaces from their start on
     * @param found what that call returned, or that of another encoder for the same content
     * @return bytes of payload
     */
    int refer(MutableDirectBuffer into, int offset, long found) {
        PageReference.put(into, offset, PageCache.blockOf(found), PageCache.pageOf(found), checksum);
        return chosen(Encoding.REFERENCE, PageReference.BYTES);
    }

    private int chosen(Encoding encoding, int payloadBytes) {
        this.encoding = encoding;
        return payloadBytes;
    }
}
