package io.lockstep.replication.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.lockstep.replication.link.DiscardingChannel;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.RunState;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.agrona.concurrent.SystemNanoClock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class PipelineAllocationTest {
    private static final int PAGES_PER_EPOCH = 200;
    private static final int EPOCHS = 3_000;

    /** One small object per page would be 200 × 16 = 3,200 bytes an epoch; one per epoch and thread 4 × 24. */
    private static final long BYTES_PER_EPOCH_MAX = 256;

    private final List<Thread> threads = Collections.synchronizedList(new ArrayList<>());

    @Test
    void shouldAllocateNothingPerPageWhenEpochsAreSteady() throws Exception {
        Random random = new Random(8);
        PageModel guest = new PageModel(1_000);
        for (int page = 0; page < 1_000; page++) {
            guest.mutate(random, 0, page);
        }
        try (PagePipeline pipeline = new PagePipeline(
                new PipelineConfig(1024, 2, 2 << 20, 64 << 10, 64 << 10, 16, 10_000),
                this::thread,
                counts -> {},
                (block, page, changed) -> {},
                SystemNanoClock.INSTANCE)) {
            pipeline.attach(new DiscardingChannel(), true, 1_000);
            threads.add(Thread.currentThread());
            run(pipeline, guest, 0, EPOCHS);
            long before = allocated();
            run(pipeline, guest, EPOCHS, 2 * EPOCHS);
            long perEpoch = (allocated() - before) / EPOCHS;
            assertThat(perEpoch)
                    .as("bytes per epoch of %d pages", PAGES_PER_EPOCH)
                    .isLessThan(BYTES_PER_EPOCH_MAX);
            assertThat(pipeline.counters().epochs()).isEqualTo(2 * EPOCHS);
            assertThat(threads).hasSize(4);
        }
    }

    private Thread thread(Runnable task) {
        Thread thread = new Thread(task, "allocation-test");
        thread.setDaemon(true);
        threads.add(thread);
        return thread;
    }

    private long allocated() {
        ThreadMXBean bean = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        return threads.stream()
                .mapToLong(thread -> bean.getThreadAllocatedBytes(thread.getId()))
                .sum();
    }

    private static void run(PagePipeline pipeline, PageModel guest, int from, int to) throws PipelineException {
        for (int epoch = from; epoch < to; epoch++) {
            pipeline.awaitFree(PAGES_PER_EPOCH + 4, 10_000);
            pipeline.epochBegin(epoch, EpochKind.DELTA, epoch);
            long first = pipeline.claim(PAGES_PER_EPOCH);
            for (int i = 0; i < PAGES_PER_EPOCH; i++) {
                int page = (epoch * 31 + i) % 1_000;
                byte[] content = guest.blocks[0][page];
                if ((i & 3) == 0) {
                    content[i * 17]++;
                }
                pipeline.slots().putBytes(pipeline.offset(first + i), content);
                boolean disk = i >= PAGES_PER_EPOCH / 2;
                pipeline.describe(
                        first + i, disk ? 1 : 0, page, disk ? PageCodec.FLAG_PASSING | PageCodec.FLAG_MAY_REFER : 0);
            }
            pipeline.publish(first, first + PAGES_PER_EPOCH - 1);
            long scrub = pipeline.claim(1);
            pipeline.describeScrub(scrub, 0, epoch % 1_000);
            pipeline.publish(scrub, scrub);
            pipeline.epochEnd(epoch, EpochKind.DELTA, RunState.RUNNING, epoch, 0, 32 << 10);
        }
        pipeline.awaitDrained(10_000);
    }
}
