package io.lockstep.replication.hypervisor;

import io.lockstep.replication.DutyCycle;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;

/**
 * Ends a pause that lasts too long, from a thread of its own, against a capture thread that hangs. It looks a few times per limit rather
 * than being woken for each pause: so a pause costs one write of a variable, and ends at most a quarter later than the limit.
 */
public final class PauseGuard implements AutoCloseable {
    private static final int LOOKS_PER_LIMIT = 4;

    private final HeldSave save;
    private final long pauseNsMax;
    private final NanoClock clock;
    private final DutyCycle rounds = DutyCycle.idle();
    private final Thread thread;
    private volatile long pausedSinceNs;
    private volatile boolean armed;
    private volatile boolean open = true;
    private final AtomicLong aborts = new AtomicLong();

    /** Watches the save from now on. */
    public PauseGuard(HeldSave save, long pauseNsMax) {
        this(save, pauseNsMax, SystemNanoClock.INSTANCE);
    }

    PauseGuard(HeldSave save, long pauseNsMax, NanoClock clock) {
        this.clock = clock;
        this.save = save;
        this.pauseNsMax = pauseNsMax;
        thread = new Thread(this::watch, "lockstep-pause-guard");
        thread.setDaemon(true);
        thread.start();
    }

    /** Before the save begins; the capture thread. */
    public void arm(long nowNs) {
        pausedSinceNs = nowNs;
        armed = true;
    }

    /** After the VM runs again; the capture thread. */
    public void disarm() {
        armed = false;
    }

    /** Pauses that had to be ended. */
    public long aborts() {
        return aborts.get();
    }

    /** How regularly it looks: later than it meant to, or busy with ending a pause. Any thread. */
    public DutyCycle rounds() {
        return rounds;
    }

    @Override
    public void close() {
        open = false;
        LockSupport.unpark(thread);
    }

    private void watch() {
        long waitNs = pauseNsMax / LOOKS_PER_LIMIT;
        while (open) {
            long restNs = clock.nanoTime();
            rounds.mark(restNs, restNs + waitNs);
            LockSupport.parkNanos(this, waitNs);
            long nowNs = clock.nanoTime();
            rounds.mark(nowNs);
            if (armed && nowNs - pausedSinceNs > pauseNsMax) {
                armed = false;
                aborts.incrementAndGet();
                save.abort();
            }
        }
        rounds.rest(clock.nanoTime());
    }
}
