package io.lockstep.agent.api;

import io.lockstep.agent.ModestThread;
import io.lockstep.replication.DutyCycle;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** The threads of the API, which tell how long work had to wait for one of them. */
final class ApiThreads extends QueuedThreadPool {
    private static final int THREADS_MIN = 3;

    private final DutyCycle queue;

    ApiThreads(int threadsMax, int idleTimeoutMs, DutyCycle queue) {
        super(threadsMax, THREADS_MIN, idleTimeoutMs, -1, null, null, ModestThread::new);
        this.queue = queue;
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
