package io.lockstep.telemetry.health;

/** How often something happened in the last while: 24 counters in a ring, so the window slides in steps of a 24th. For one thread. */
final class SlidingCount {
    static final int STEPS = 24;

    private final int[] counts = new int[STEPS];
    private final long stepMs;
    private long lastStep;

    SlidingCount(long windowMs) {
        stepMs = Math.max(1, windowMs / STEPS);
    }

    /** Adds; a time before the newest counts as the newest. */
    void add(long nowMs, long count) {
        advance(nowMs);
        int slot = (int) (lastStep % STEPS);
        counts[slot] = (int) Math.min(Integer.MAX_VALUE, (long) counts[slot] + count);
    }

    /** The sum over the window that ends now. */
    long sum(long nowMs) {
        advance(nowMs);
        long sum = 0;
        for (int count : counts) {
            sum += count;
        }
        return sum;
    }

    /**
     * Takes away, the newest first.
     *
     * @return how many there were
     */
    long take(long nowMs, long count) {
        advance(nowMs);
        long left = count;
        for (long step = lastStep; left > 0 && step >= 0 && step > lastStep - STEPS; step--) {
            int slot = (int) (step % STEPS);
            int taken = (int) Math.min(left, counts[slot]);
            counts[slot] -= taken;
            left -= taken;
        }
        return count - left;
    }

    private void advance(long nowMs) {
        long step = Math.max(lastStep, Math.max(0, nowMs) / stepMs);
        for (long s = Math.max(lastStep + 1, step - STEPS + 1); s <= step; s++) {
            counts[(int) (s % STEPS)] = 0;
        }
        lastStep = step;
    }
}
