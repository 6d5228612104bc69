package io.lockstep.agent.api;

import io.lockstep.agent.ModestThread;
import io.lockstep.replication.DutyCycle;
import java.util.HashMap;
import java.util.Map;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** The threads of the API, which tell how long work had to wait for one of them, and what they cost. */
final class ApiThreads extends QueuedThreadPool {
    private static final int THREADS_MIN = 3;

    private final DutyCycle queue;
    private final Spent spent;

    ApiThreads(int threadsMax, int idleTimeoutMs, DutyCycle queue) {
        this(threadsMax, idleTimeoutMs, queue, new Spent());
    }

    private ApiThreads(int threadsMax, int idleTimeoutMs, DutyCycle queue, Spent spent) {
        super(
                threadsMax,
                THREADS_MIN,
                idleTimeoutMs,
                -1,
                null,
                null,
                work -> new ModestThread(() -> spent.account(work)));
        this.queue = queue;
        this.spent = spent;
    }

    /** By thread, what it had cost when that was last looked up. */
    private static final class Spent {
        private final Map<Long, Long> seenNs = new HashMap<>();
        private long allNs;

        void account(Runnable work) {
            long thread = Thread.currentThread().getId();
            add(thread, 0);
            try {
                work.run();
            } finally {
                end(thread, Expense.ofThisThreadNs());
            }
        }

        private synchronized void add(long thread, long nowNs) {
            seenNs.put(thread, nowNs);
        }

        private synchronized void end(long thread, long nowNs) {
            Long seen = seenNs.remove(thread);
            allNs += nowNs - (seen == null ? 0 : seen);
        }

        synchronized long allNs() {
            seenNs.replaceAll((thread, seen) -> {
                long nowNs = Math.max(seen, Expense.ofNs(thread));
                allNs += nowNs - seen;
                return nowNs;
            });
            return allNs;
        }
    }

    /** What all of them have cost until now. */
    long costNs() {
        return spent.allNs();
    }

    @Override
    public void execute(Runnable job) {
        long queuedNs = System.nanoTime();
        super.execute(() -> {
            queue.took(System.nanoTime() - queuedNs);
            job.run();
        });
    }
}
