package io.lockstep.agent.supervisor;

import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Pings the supervisor as long as every duty cycle goes on.
 *
 * <p>Invariant: no ping is sent while one of the cycles has been still for longer than its timeout, so that a process whose timers run but whose
 * work is stuck is ended as well.
 */
public final class WatchdogFeeder implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(WatchdogFeeder.class);

    /** Pings in a watchdog's time: three may be late or lost. */
    private static final int PINGS = 4;

    private final Supplier<List<ProgressSource>> sources;
    private final Runnable ping;
    private final LongSupplier clockNs;
    private final Thread thread;
    private volatile boolean running = true;
    private String stuck = "";

    /**
     * @param sources of the cycles that run now
     * @param ping tells the supervisor
     * @param watchdogNs its timeout
     */
    public WatchdogFeeder(
            Supplier<List<ProgressSource>> sources, Runnable ping, long watchdogNs, LongSupplier clockNs) {
        this.sources = sources;
        this.ping = ping;
        this.clockNs = clockNs;
        thread = new Thread(() -> run(watchdogNs / PINGS), "watchdog");
        thread.setDaemon(true);
    }

    /** Begins to ping; with a timeout of 0 nobody listens, and nothing is done. */
    public static WatchdogFeeder start(Supplier<List<ProgressSource>> sources, Notifier notifier) {
        WatchdogFeeder feeder = new WatchdogFeeder(sources, notifier::alive, notifier.watchdogNs(), System::nanoTime);
        if (notifier.watchdogNs() > 0) {
            feeder.thread.start();
        }
        return feeder;
    }

    /** Looks once, and pings if all is well; whether it did. */
    boolean check() {
        long nowNs = clockNs.getAsLong();
        for (ProgressSource source : sources.get()) {
            long stillNs = nowNs - source.lastProgressNs();
            if (stillNs > source.progressTimeoutNs()) {
                if (!stuck.equals(source.name())) {
                    stuck = source.name();
                    LOG.error(
                            "{} has been still for {} ms > {} ms: the watchdog is not fed.",
                            stuck,
                            stillNs / 1_000_000,
                            source.progressTimeoutNs() / 1_000_000);
                }
                return false;
            }
        }
        stuck = "";
        ping.run();
        return true;
    }

    private void run(long periodNs) {
        while (running) {
            check();
            LockSupport.parkNanos(periodNs);
        }
    }

    @Override
    public void close() {
        running = false;
        LockSupport.unpark(thread);
    }
}
