package io.lockstep.perf;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.pipeline.PageCache;
import io.lockstep.replication.pipeline.PageCodec;
import io.lockstep.replication.pipeline.PageDecoder;
import io.lockstep.replication.pipeline.PageFormatException;
import io.lockstep.replication.pipeline.PageRecord;
import io.lockstep.replication.pipeline.PageSink;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.agrona.BufferUtil;
import org.agrona.UnsafeApi;
import org.agrona.concurrent.SystemNanoClock;
import org.agrona.concurrent.UnsafeBuffer;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** A batch of 256 records applied to memory; the figure is for one page. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class DecoderBenchmark {
    private static final int PAGES = 256;

    /** See there. */
    @Param({"ZERO", "DELTA_SPARSE", "LZ4", "RAW"})
    public EncoderBenchmark.Change change = EncoderBenchmark.Change.ZERO;

    private final UnsafeBuffer batch =
            new UnsafeBuffer(BufferUtil.allocateDirectAligned(PAGES * PageRecord.BYTES_MAX, 64));
    private final PageDecoder decoder =
            new PageDecoder(List.of(new RamBlock(0, "pc.ram", PAGES * 4096L, RamBlock.PAGE_BYTES, true)));
    private final Replica replica = new Replica();
    private int batchBytes;

    /** Encodes the batch. */
    @Setup
    public void setup() {
        SplittableRandom random = new SplittableRandom(5);
        GuestMemory guest = new GuestMemory(PAGES);
        GuestMemory slot = new GuestMemory(1);
        PageCodec codec = new PageCodec(new PageCache(4L * PAGES * 4096), SystemNanoClock.INSTANCE);
        codec.price(20 * PageCodec.PRICE_SCALE);
        UnsafeBuffer slotBuffer = new UnsafeBuffer(slot.bytes);
        batchBytes = 0;
        for (int page = 0; page < PAGES; page++) {
            switch (change) {
                case ZERO -> {}
                case LZ4 -> guest.compressible(random, page);
                default -> guest.random(random, page);
            }
            if (change == EncoderBenchmark.Change.DELTA_SPARSE) {
                UnsafeApi.copyMemory(guest.page(page), slot.address, 4096);
                codec.encode(slot.bytes, slot.address, 0, 0, page, 0);
                for (int i = 0; i < 8; i++) {
                    int at = page * 4096 + i * 512;
                    guest.bytes.putLong(at, ~guest.bytes.getLong(at));
                }
            }
            UnsafeApi.copyMemory(guest.page(page), slot.address, 4096);
            int payloadBytes = codec.encode(slot.bytes, slot.address, 0, 0, page, 0);
            PageRecord.header(batch, batchBytes, 0, codec.encoding().code(), page, payloadBytes);
            if (payloadBytes > 0) {
                batch.putBytes(batchBytes + PageRecord.HEADER_BYTES, slotBuffer, 0, payloadBytes);
            }
            batchBytes += PageRecord.HEADER_BYTES + payloadBytes;
        }
    }

    /** Applies it. */
    @Benchmark
    @OperationsPerInvocation(PAGES)
    public void apply() throws PageFormatException, IOException {
        decoder.apply(batch, 0, batchBytes, PAGES, replica);
    }

    /** Checks it only. */
    @Benchmark
    @OperationsPerInvocation(PAGES)
    public void check() throws PageFormatException {
        decoder.check(batch, 0, batchBytes, PAGES);
    }

    /** Memory in place of the replica's file. */
    private static final class Replica implements PageSink {
        private final GuestMemory memory = new GuestMemory(PAGES);

        @Override
        public void read(int block, int page, ByteBuffer into) {
            // SAFETY: the decoder checked the page against the block's; its buffer is a direct page.
            UnsafeApi.copyMemory(memory.page(page), BufferUtil.address(into), 4096);
        }

        @Override
        public void write(int block, int page, ByteBuffer content) {
            // SAFETY: as above.
            UnsafeApi.copyMemory(BufferUtil.address(content), memory.page(page), 4096);
        }

        @Override
        public void zero(int block, int page) {
            // SAFETY: as above.
            UnsafeApi.setMemory(memory.page(page), 4096, (byte) 0);
        }
    }
}
