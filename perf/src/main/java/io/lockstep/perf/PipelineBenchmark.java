package io.lockstep.perf;

import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineConfig;
import io.lockstep.replication.pipeline.PipelineException;
import io.lockstep.replication.wire.EpochKind;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.SystemNanoClock;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A first copy of 64 MiB through ring, encoders and sealer, the capture's copy included, to a link that is infinitely fast; ns a page. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class PipelineBenchmark {
    private static final int PAGES = 16_384;

    /** Per cent of zero pages and of compressible ones; the rest is random. */
    @Param({"60/30", "0/0", "0/100", "100/0"})
    public String mix = "60/30";

    /** Encoder threads. */
    @Param({"1", "2"})
    public int encoders = 1;

    private GuestMemory guest = new GuestMemory(1);
    private PagePipeline pipeline = start(1);
    private long epoch;

    static PagePipeline start(int encoders) {
        PipelineConfig defaults = PipelineConfig.defaults();
        PipelineConfig config = new PipelineConfig(
                defaults.ringSlots(),
                encoders,
                defaults.cacheBytes(),
                defaults.batchBytes(),
                defaults.deviceStateBytesMax(),
                defaults.scrubPagesMax(),
                defaults.claimTimeoutMs());
        return new PagePipeline(
                config,
                PipelineBenchmark::daemon,
                counts -> {},
                (block, page, changed) -> {},
                SystemNanoClock.INSTANCE);
    }

    private static Thread daemon(Runnable task) {
        Thread thread = new Thread(task, "pipeline");
        thread.setDaemon(true);
        return thread;
    }

    /** Fills the memory and starts the threads. */
    @Setup
    public void setup() throws PipelineException {
        pipeline.close();
        String[] percent = mix.split("/", 2);
        guest = new GuestMemory(PAGES).mix(7, Integer.parseInt(percent[0]), Integer.parseInt(percent[1]));
        pipeline = start(encoders);
        pipeline.attach(new DiscardChannel(), true, 1_000);
    }

    /** Ends the threads. */
    @TearDown
    public void close() {
        pipeline.close();
    }

    /** One SYNC epoch. */
    @Benchmark
    @OperationsPerInvocation(PAGES)
    public long firstCopy() throws PipelineException {
        FirstCopy.send(pipeline, guest, epoch++, EpochKind.SYNC);
        pipeline.awaitDrained(10_000);
        return epoch;
    }
}
