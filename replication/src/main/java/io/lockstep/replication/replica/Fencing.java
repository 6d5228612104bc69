package io.lockstep.replication.replica;

import io.lockstep.replication.link.SessionHello;
import org.jspecify.annotations.Nullable;

/**
 * This host's fence command, for one VM: whether there is one, its runs, and how long after the primary's last word it may lead to a promotion.
 *
 * <p>Any thread; {@link #run} waits for the command, so that it is called without a lock.
 */
final class Fencing {
    private final String vm;
    private final @Nullable Fence fence;
    private final long timeoutMs;
    private final ReplicaCounters counters;

    Fencing(String vm, @Nullable Fence fence, long timeoutMs, ReplicaCounters counters) {
        this.vm = vm;
        this.fence = fence;
        this.timeoutMs = timeoutMs;
        this.counters = counters;
    }

    boolean configured() {
        return fence != null;
    }

    Fence.Outcome run() {
        Fence command = fence;
        if (command == null) {
            return new Fence.Outcome(false, "no fence command is configured");
        }
        counters.fenceRuns.incrementAndGet();
        return command.fence(vm);
    }

    /**
     * How long the primary's silence may last for a promotion without the operator; its primary lets its output go later than that. 0: there is
     * no such promotion.
     */
    long windowMs(SessionHello hello) {
        return fence == null ? 0 : hello.failureTimeoutMs() + timeoutMs;
    }
}
