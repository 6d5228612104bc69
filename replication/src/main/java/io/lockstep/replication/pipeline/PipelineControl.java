package io.lockstep.replication.pipeline;

import io.lockstep.replication.link.FrameChannel;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * What the threads of one pipeline share besides the ring: its state, its channel, and who waits for slots.
 *
 * <p>Only the capture thread enters {@code RUNNING}, and only with the ring drained; any thread may fail it.
 */
final class PipelineControl {
    final RingWait ring = new RingWait();
    final LinkPrice price = new LinkPrice();
    private volatile Runnable onFailure = () -> {};
    private volatile PipelineState state = PipelineState.DETACHED;
    private volatile @Nullable FrameChannel channel;
    private volatile @Nullable Throwable cause;
    private volatile @Nullable Thread producer;
    private volatile long wantedSequence = Long.MAX_VALUE;
    private long failures;

    PipelineState state() {
        return state;
    }

    boolean running() {
        return state == PipelineState.RUNNING;
    }

    @Nullable
    Throwable cause() {
        return cause;
    }

    /** The channel while {@link #running()}. */
    @Nullable
    FrameChannel channel() {
        return channel;
    }

    synchronized long failures() {
        return failures;
    }

    synchronized void run(FrameChannel channel) {
        cause = null;
        this.channel = channel;
        state = PipelineState.RUNNING;
    }

    /** Leaves the channel to its owner; the given state is DETACHED or CLOSED. */
    synchronized @Nullable FrameChannel leave(PipelineState next) {
        FrameChannel left = channel;
        channel = null;
        if (state != PipelineState.CLOSED) {
            state = next;
        }
        return left;
    }

    void onFailure(Runnable listener) {
        onFailure = listener;
    }

    /** Fails the stream once; later causes of the same session are consequences and dropped. */
    void fail(Throwable cause) {
        synchronized (this) {
            if (state != PipelineState.RUNNING) {
                return;
            }
            this.cause = cause;
            failures++;
            state = PipelineState.FAILED;
        }
        wakeProducer();
        onFailure.run();
    }

    /** The producer waits until this sequence has been sealed. */
    void await(Thread thread, long sequence) {
        wantedSequence = sequence;
        producer = thread;
    }

    void awaited() {
        producer = null;
        wantedSequence = Long.MAX_VALUE;
    }

    /** All slots up to this sequence have been sealed; the sealer's thread, after its sequence was set. */
    void sealed(long sequence) {
        // Orders the sequence's release before the read; the producer writes the wanted one before it reads the
        // sequence.
        VarHandle.fullFence();
        if (sequence >= wantedSequence) {
            wakeProducer();
        }
    }

    private void wakeProducer() {
        Thread waiting = producer;
        if (waiting != null) {
            LockSupport.unpark(waiting);
        }
    }
}
