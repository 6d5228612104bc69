package io.lockstep.perf;

import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** The limit for compressed pages: the library's own calls on 4 KiB, of the C and of the Java code. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class Lz4Benchmark {
    private static final int PAGES = 256;
    private static final int PAGE_BYTES = GuestMemory.PAGE_BYTES;
    private static final int COMPRESSED_BYTES_MAX = 4160;

    /** Which code. */
    @Param({"native", "fastReset", "java"})
    public String code = "native";

    /** Whether the pages compress. */
    @Param({"true", "false"})
    public boolean compressible = true;

    private final GuestMemory memory = new GuestMemory(PAGES);
    private final ByteBuffer compressed = ByteBuffer.allocateDirect(PAGES * COMPRESSED_BYTES_MAX);
    private final ByteBuffer page = ByteBuffer.allocateDirect(PAGE_BYTES);
    private final int[] lengths = new int[PAGES];
    private LZ4Compressor compressor = LZ4Factory.fastestInstance().fastCompressor();
    private LZ4SafeDecompressor decompressor = LZ4Factory.fastestInstance().safeDecompressor();
    private int next;

    /** Compresses all pages once. */
    @Setup
    public void setup() {
        LZ4Factory factory = code.equals("java") ? LZ4Factory.fastestJavaInstance() : LZ4Factory.nativeInstance();
        compressor = code.equals("fastReset") ? factory.fastResetCompressor() : factory.fastCompressor();
        decompressor = factory.safeDecompressor();
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < PAGES; i++) {
            if (compressible) {
                memory.compressible(random, i);
            } else {
                memory.random(random, i);
            }
            lengths[i] = compress(i);
        }
    }

    private int compress(int i) {
        return compressor.compress(
                memory.bytes, i * PAGE_BYTES, PAGE_BYTES, compressed, i * COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MAX);
    }

    /** One page. */
    @Benchmark
    public int compress() {
        next = (next + 1) & (PAGES - 1);
        return compress(next);
    }

    /** One page back. */
    @Benchmark
    public int expand() {
        next = (next + 1) & (PAGES - 1);
        return decompressor.decompress(compressed, next * COMPRESSED_BYTES_MAX, lengths[next], page, 0, PAGE_BYTES);
    }
}
