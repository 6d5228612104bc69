package io.lockstep.perf;

import io.lockstep.replication.pipeline.PageHash;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.agrona.UnsafeApi;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** The limits: what the machine itself takes for one page of 4 KiB. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class MemoryBenchmark {
    /** 256 pages, 1 MiB, stay in the second-level cache; 65536, 256 MiB, do not fit any. */
    @Param({"256", "65536"})
    public int pages;

    private GuestMemory from = new GuestMemory(1);
    private GuestMemory to = new GuestMemory(1);
    private GuestMemory other = new GuestMemory(1);
    private final CRC32C checksum = new CRC32C();
    private int next;
    private boolean isOther;

    /** Fills the memory. */
    @Setup
    public void setup() {
        from = new GuestMemory(pages).mix(1, 0, 50);
        to = new GuestMemory(pages).mix(2, 0, 0);
        other = new GuestMemory(pages).mix(3, 0, 50);
    }

    private int next() {
        next = (next + 1) & (pages - 1);
        return next;
    }

    /** One page from one place to another. */
    @Benchmark
    public long memcpy() {
        int page = next();
        // SAFETY: both pages lie within their memories.
        UnsafeApi.copyMemory(from.page(page), to.page(page), GuestMemory.PAGE_BYTES);
        return to.address;
    }

    /** The capture's copy into a slot as {@link EncoderBenchmark} has it, from two versions of each page in turn: what is to be taken off its times. */
    @Benchmark
    public long capture() {
        int page = next();
        if (page == 0) {
            isOther = !isOther;
        }
        // SAFETY: both pages lie within their memories.
        UnsafeApi.copyMemory((isOther ? other : from).page(page), to.page(page), GuestMemory.PAGE_BYTES);
        return to.address;
    }

    /** The hash of a scrubbed page. */
    @Benchmark
    public long xxh64() {
        return PageHash.of(from.bytes, next() * GuestMemory.PAGE_BYTES);
    }

    /** The checksum of a page. */
    @Benchmark
    public long crc32c() {
        int at = next() * GuestMemory.PAGE_BYTES;
        checksum.reset();
        checksum.update(from.bytes.limit(at + GuestMemory.PAGE_BYTES).position(at));
        return checksum.getValue();
    }
}
