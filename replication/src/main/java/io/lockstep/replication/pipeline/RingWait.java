package io.lockstep.replication.pipeline;

import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.WaitStrategy;
import java.lang.invoke.VarHandle;

/**
 * Waits without spinning, because the guest needs the cores, and without allocating. Encoders wait for the producer on one
 * monitor, the sealer for the encoders on another. Nobody is signalled while nobody waits.
 *
 * <p>Disruptor's own blocking strategy spins while it waits for another consumer. Here each encoder sets its sequence itself
 * and calls {@link #encoded()}.
 */
final class RingWait implements WaitStrategy {
    /** A missed signal or an alert during a wait is noticed after this long. */
    private static final long RECHECK_MS = 100;

    private final Object published = new Object();
    private final Object encoded = new Object();
    private final Object resting = new Object();
    private volatile int waitingForPublished;
    private volatile int waitingForEncoded;
    private volatile boolean quiet;

    @Override
    public long waitFor(long sequence, Sequence cursor, Sequence dependent, SequenceBarrier barrier)
            throws AlertException, InterruptedException {
        long available = dependent.get();
        if (available >= sequence) {
            return available;
        }
        return dependent == cursor
                ? awaitPublished(sequence, dependent, barrier)
                : awaitEncoded(sequence, dependent, barrier);
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // Under the monitor.
    private long awaitPublished(long sequence, Sequence dependent, SequenceBarrier barrier)
            throws AlertException, InterruptedException {
        long available;
        synchronized (published) {
            waitingForPublished++;
            VarHandle.fullFence();
            try {
                while ((available = dependent.get()) < sequence) {
                    barrier.checkAlert();
                    published.wait(RECHECK_MS);
                }
            } finally {
                waitingForPublished--;
            }
        }
        return available;
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // Under the monitor.
    private long awaitEncoded(long sequence, Sequence dependent, SequenceBarrier barrier)
            throws AlertException, InterruptedException {
        long available;
        synchronized (encoded) {
            waitingForEncoded++;
            VarHandle.fullFence();
            try {
                while ((available = dependent.get()) < sequence) {
                    barrier.checkAlert();
                    encoded.wait(RECHECK_MS);
                }
            } finally {
                waitingForEncoded--;
            }
        }
        return available;
    }

    /** The producer published, or a consumer is to stop; any thread. */
    @Override
    public void signalAllWhenBlocking() {
        // Orders the cursor's release before the read of the counter; a waiter does the same the other way round.
        VarHandle.fullFence();
        if (waitingForPublished > 0 && !quiet) {
            synchronized (published) {
                published.notifyAll();
            }
        }
    }

    /** An encoder has set its sequence; encoders' threads. */
    void encoded() {
        VarHandle.fullFence();
        if (waitingForEncoded > 0) {
            synchronized (encoded) {
                encoded.notifyAll();
            }
        }
    }

    /** While quiet, publishing wakes nobody and consumers rest: the producer is inside a pause, and needs the cores. */
    void quiet(boolean quiet) {
        boolean ends = this.quiet && !quiet;
        this.quiet = quiet;
        if (ends) {
            synchronized (resting) {
                resting.notifyAll();
            }
        }
        if (!quiet) {
            signalAllWhenBlocking();
        }
    }

    /** Whether consumers are to rest; any thread. */
    boolean isQuiet() {
        return quiet;
    }

    /** Returns when it is not quiet any more; consumers' threads, in the middle of what they have to do. */
    void rest() {
        if (!quiet) {
            return;
        }
        try {
            synchronized (resting) {
                while (quiet) {
                    resting.wait(RECHECK_MS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
