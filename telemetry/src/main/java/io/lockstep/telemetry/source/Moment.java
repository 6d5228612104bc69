package io.lockstep.telemetry.source;

import java.util.function.LongSupplier;

/**
 * Both clocks at one moment, so that what the kernel dates by the one can be told by the other.
 *
 * @param wallMs milliseconds since 1970, UTC
 * @param monotonicNs CLOCK_MONOTONIC, nanoseconds since an origin of its own
 */
public record Moment(long wallMs, long monotonicNs) {
    private static final long CLOSE_NS = 100_000;
    private static final int TRIES_MAX = 8;

    /** Reads the clocks; they are apart by less than 0.1 ms unless others want this thread's processor all the time. */
    public static Moment now() {
        return read(System::nanoTime, System::currentTimeMillis);
    }

    /** A thread may lose its processor between the two readings for as long as others want it: of a few tries, the closest counts. */
    static Moment read(LongSupplier monotonicNs, LongSupplier wallMs) {
        Moment closest = new Moment(0, 0);
        long closestNs = Long.MAX_VALUE;
        for (int tries = 0; tries < TRIES_MAX && closestNs > CLOSE_NS; tries++) {
            long beforeNs = monotonicNs.getAsLong();
            long wall = wallMs.getAsLong();
            long tookNs = monotonicNs.getAsLong() - beforeNs;
            if (tookNs < closestNs) {
                closest = new Moment(wall, beforeNs + tookNs / 2);
                closestNs = tookNs;
            }
        }
        return closest;
    }
}
