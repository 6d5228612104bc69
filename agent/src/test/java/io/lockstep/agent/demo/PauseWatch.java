package io.lockstep.agent.demo;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Poll;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.QmpEvent;
import io.lockstep.replication.hypervisor.QmpEventListener;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/** Sees the VM's pauses on a monitor of the test's own, and does something inside one. A thread of its own. */
final class PauseWatch implements QmpEventListener, AutoCloseable {
    private static final long POLL_NS = 100_000_000;

    private final QmpConnection qmp;
    private final AtomicReference<Order> order = new AtomicReference<>();
    private volatile boolean closed;
    private volatile Exception failure;
    private boolean stopped;

    /** What to do, and how long after a pause's begin. */
    private record Order(Act act, long delayNs, CompletableFuture<Boolean> done) {}

    /** Something that is done inside a pause. */
    @FunctionalInterface
    interface Act {
        void perform() throws LinuxException;
    }

    PauseWatch(QmpConnection qmp) {
        this.qmp = qmp;
        qmp.listener(this);
        Thread thread = new Thread(this::watch, "pause-watch");
        thread.setDaemon(true);
        thread.start();
    }

    /**
     * Has it done when the next pause has lasted for a time.
     *
     * @return completes with whether the pause still lasted when it had been done
     */
    CompletableFuture<Boolean> inside(long delayNs, Act act) {
        CompletableFuture<Boolean> done = new CompletableFuture<>();
        order.set(new Order(act, delayNs, done));
        Exception ended = failure;
        if (ended != null) {
            done.completeExceptionally(ended);
        }
        return done;
    }

    private void watch() {
        Poll poll = new Poll(1);
        poll.set(0, qmp.fd(), Poll.IN);
        try {
            while (!closed) {
                receive(poll, POLL_NS);
                Order next = order.get();
                if (stopped && next != null) {
                    order.set(null);
                    if (next.delayNs > 0) {
                        LockSupport.parkNanos(next.delayNs);
                    }
                    next.act.perform();
                    receive(poll, 0);
                    next.done.complete(stopped);
                }
            }
        } catch (LockstepException | LinuxException e) {
            failure = e;
            Order next = order.get();
            if (next != null) {
                next.done.completeExceptionally(e);
            }
        } finally {
            qmp.close();
        }
    }

    private void receive(Poll poll, long timeoutNs) throws LinuxException, LockstepException {
        if (poll.await(timeoutNs) > 0) {
            qmp.receive();
        }
    }

    @Override
    public void stopped(long nowNs) {
        stopped = true;
    }

    @Override
    public void resumed(long nowNs) {
        stopped = false;
    }

    @Override
    public void event(QmpEvent event) {}

    @Override
    public void close() {
        closed = true;
    }
}
