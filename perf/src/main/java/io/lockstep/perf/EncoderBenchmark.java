package io.lockstep.perf;

import io.lockstep.replication.pipeline.Encoding;
import io.lockstep.replication.pipeline.PageCache;
import io.lockstep.replication.pipeline.PageCodec;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.SystemNanoClock;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * One page through the encoder. DELTA, LZ4 and RAW are copied into the slot first, as the capture does, because the encoder
 * replaces the content; the copy is in the figure. The cache holds every page.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class EncoderBenchmark {
    /** What the guest did to the page since it was last sent. */
    public enum Change {
        /** It is zero and was not sent before. */
        ZERO,
        /** Nothing. */
        UNCHANGED,
        /** Eight counters went up. */
        DELTA_SPARSE,
        /** 64 runs of 16 bytes are new. */
        DELTA_DENSE,
        /** All of it, with text and pointers; not in the cache. */
        LZ4,
        /** All of it, with random bytes; not in the cache. */
        RAW
    }

    /** See there. */
    @Param
    public Change change = Change.ZERO;

    /** 256 pages stay in the second-level cache, 8192 (32 MiB and as much cache) do not. */
    @Param({"256", "8192"})
    public int pages;

    private GuestMemory slots = new GuestMemory(1);
    private GuestMemory even = new GuestMemory(1);
    private GuestMemory odd = new GuestMemory(1);
    private PageCodec codec = new PageCodec(new PageCache(0), SystemNanoClock.INSTANCE);
    private int next;
    private boolean isOdd;

    /** Prepares two versions of each page. */
    @Setup
    public void setup() {
        SplittableRandom random = new SplittableRandom(3);
        slots = new GuestMemory(pages);
        even = new GuestMemory(pages);
        odd = new GuestMemory(pages);
        // Room for all pages although sets fill unevenly; none for those that must not be found.
        boolean cached = change == Change.UNCHANGED || change == Change.DELTA_SPARSE || change == Change.DELTA_DENSE;
        codec = new PageCodec(
                new PageCache(cached ? pages * 4L * GuestMemory.PAGE_BYTES : 0), SystemNanoClock.INSTANCE);
        // A slow link, so that LZ4 is worth its time.
        codec.price(20 * PageCodec.PRICE_SCALE);
        for (int page = 0; page < pages; page++) {
            switch (change) {
                case ZERO -> {}
                case LZ4 -> even.compressible(random, page);
                default -> even.random(random, page);
            }
            UnsafeApi.copyMemory(even.page(page), odd.page(page), GuestMemory.PAGE_BYTES);
            int runs = change == Change.DELTA_SPARSE ? 8 : change == Change.DELTA_DENSE ? 64 : 0;
            int words = change == Change.DELTA_SPARSE ? 1 : 2;
            for (int run = 0; run < runs; run++) {
                int at = page * GuestMemory.PAGE_BYTES + run * (GuestMemory.PAGE_BYTES / runs);
                for (int word = 0; word < words; word++) {
                    odd.bytes.putLong(at + word * 8, ~odd.bytes.getLong(at + word * 8));
                }
            }
            UnsafeApi.copyMemory(even.page(page), slots.page(page), GuestMemory.PAGE_BYTES);
            codec.encode(slots.bytes, slots.address, page * GuestMemory.PAGE_BYTES, 0, page, 0);
            UnsafeApi.copyMemory(even.page(page), slots.page(page), GuestMemory.PAGE_BYTES);
        }
        next = -1;
        isOdd = false;
        Encoding first = encode(0);
        if (!change.name().startsWith(first.name())) {
            throw new IllegalStateException("encoding " + first + " is not " + change);
        }
    }

    /** One page. */
    @Benchmark
    public int encode() {
        next++;
        if (next == pages) {
            next = 0;
            isOdd = !isOdd;
        }
        return encode(next).code();
    }

    private Encoding encode(int page) {
        if (change != Change.ZERO && change != Change.UNCHANGED) {
            // SAFETY: the page lies within each of the memories.
            UnsafeApi.copyMemory(isOdd ? even.page(page) : odd.page(page), slots.page(page), GuestMemory.PAGE_BYTES);
        }
        codec.encode(slots.bytes, slots.address, page * GuestMemory.PAGE_BYTES, 0, page, 0);
        return codec.encoding();
    }
}
