package io.lockstep.telemetry.watch;

/** Is told how regularly one thread of a {@link HardwareWatch} comes round. Called on that thread; must not wait. Times: {@link System#nanoTime()}. */
@FunctionalInterface
public interface WatchRounds {
    /** For whom nobody asks. */
    WatchRounds IGNORED = (nowNs, untilNs) -> {};

    /**
     * The thread comes round.
     *
     * @param untilNs the present time, or how long it waits by itself from now on, unless it is woken before
     */
    void mark(long nowNs, long untilNs);
}
