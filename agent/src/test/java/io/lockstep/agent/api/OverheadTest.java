package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.DutyCycle;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class OverheadTest {
    private final AtomicLong allNs = new AtomicLong();
    private final Overhead overhead = new Overhead(allNs::get);

    private void answer(int times, long costNs, long besideNs) {
        for (int i = 0; i < times; i++) {
            allNs.addAndGet(costNs + besideNs);
            overhead.answered(costNs);
        }
    }

    @Test
    void shouldFindWhatRequestsCostBesideTheirAnswers() {
        answer(Overhead.REQUESTS_MIN - 1, 300_000, 700_000);
        assertThat(overhead.perRequestNs()).isEqualTo(Overhead.FIRST_NS);
        answer(1, 300_000, 700_000);
        assertThat(overhead.perRequestNs()).isEqualTo((Overhead.FIRST_NS + 700_000) / 2);
        answer(20 * Overhead.REQUESTS_MIN, 300_000, 700_000);
        assertThat(overhead.perRequestNs()).isBetween(699_000L, 700_000L);
        answer(20 * Overhead.REQUESTS_MIN, 50_000, 20_000);
        assertThat(overhead.perRequestNs()).isBetween(20_000L, 21_000L);
    }

    @Test
    void shouldStayWithinBoundsWhateverIsMeasured() {
        answer(100 * Overhead.REQUESTS_MIN, 0, 1_000_000_000);
        assertThat(overhead.perRequestNs()).isLessThanOrEqualTo(Overhead.LIMIT_NS);
        answer(100 * Overhead.REQUESTS_MIN, 1_000_000, -1_000_000);
        assertThat(overhead.perRequestNs()).isBetween(0L, 10L);
    }

    @Test
    void shouldCountWhatThreadsCostThatRunAndThoseThatHaveEnded() throws Exception {
        ApiThreads threads = new ApiThreads(8, 60_000, DutyCycle.idle());
        threads.start();
        CountDownLatch allocated = new CountDownLatch(4);
        byte[][] kept = new byte[4][];
        for (int i = 0; i < kept.length; i++) {
            int number = i;
            threads.execute(() -> {
                kept[number] = new byte[4 << 20];
                allocated.countDown();
            });
        }
        assertThat(allocated.await(30, TimeUnit.SECONDS)).isTrue();
        long running = threads.costNs();
        // 16 MiB at 25 ns a byte.
        assertThat(running).isGreaterThanOrEqualTo(4L * (4 << 20) * 25);
        threads.stop();
        assertThat(threads.costNs()).isGreaterThanOrEqualTo(running);
    }
}
