package io.lockstep.replication.replica;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Runs an {@link EpochApplier} on a thread of its own. The receiver wakes it at each commit; it wakes the receiver that waits for it. It
 * ends at the first error, which every later wait reports.
 */
final class ApplierThread implements AppliedWait, AutoCloseable {
    private static final long IDLE_NS =
            TimeUnit.MILLISECONDS.toNanos(50); // a wake-up may be missed, not lost for longer
    private static final long WAIT_NS = TimeUnit.MILLISECONDS.toNanos(10);
    private static final long CLOSE_MS = 10_000; // one epoch of the largest size

    private final EpochApplier applier;
    private final Consumer<LockstepException> onFailure;
    private final Thread thread;
    private volatile @Nullable LockstepException failure;
    private volatile @Nullable Thread waiter;
    private final DutyCycle rounds = new DutyCycle();
    private volatile boolean closed;

    ApplierThread(String vm, EpochApplier applier, Consumer<LockstepException> onFailure) {
        this.applier = applier;
        this.onFailure = onFailure;
        thread = new Thread(this::run, "apply-" + vm);
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void committed() {
        LockSupport.unpark(thread);
    }

    @Override
    public void await(long epoch) throws LockstepException {
        if (applier.applied() >= epoch) {
            return;
        }
        waiter = Thread.currentThread();
        try {
            LockSupport.unpark(thread);
            while (applier.applied() < epoch) {
                LockstepException cause = failure;
                if (cause != null) {
                    throw cause;
                }
                if (closed) {
                    throw new LockstepException(
                            "replica-closed", "The replica was closed before epoch " + epoch + " was applied.");
                }
                LockSupport.parkNanos(this, WAIT_NS);
            }
        } finally {
            waiter = null;
        }
    }

    /** How regularly it comes round. */
    DutyCycle rounds() {
        return rounds;
    }

    /** Returns when the thread has ended; what is committed and not applied is applied at the next start. */
    @Override
    public void close() {
        closed = true;
        LockSupport.unpark(thread);
        try {
            thread.join(CLOSE_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void run() {
        try {
            while (!closed) {
                rounds.mark(System.nanoTime());
                if (applier.doWork()) {
                    Thread waiting = waiter;
                    if (waiting != null) {
                        LockSupport.unpark(waiting);
                    }
                } else {
                    LockSupport.parkNanos(this, IDLE_NS);
                }
            }
        } catch (LockstepException e) {
            fail(e);
        } catch (IOException | RuntimeException e) {
            fail(ReplicaIo.failure(e));
        } catch (Error e) {
            // E.g. the InternalError of a mapped page that cannot be read: who waits for this thread must hear of it.
            fail(new LockstepException("replica-io", "The replica cannot be applied: " + e, e));
        }
    }

    private void fail(LockstepException cause) {
        failure = cause;
        Thread waiting = waiter;
        if (waiting != null) {
            LockSupport.unpark(waiting);
        }
        onFailure.accept(cause);
    }
}
