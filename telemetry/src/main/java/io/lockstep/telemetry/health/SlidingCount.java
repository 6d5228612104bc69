package io.lockstep.telemetry.health;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Arrays;

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

    void write(DataOutputStream out) throws IOException {
        out.writeLong(stepMs);
        out.writeLong(lastStep);
        int used = 0;
        for (int count : counts) {
            used += count > 0 ? 1 : 0;
        }
        out.writeByte(used);
        for (int slot = 0; slot < STEPS; slot++) {
            if (counts[slot] > 0) {
                out.writeByte(slot);
                out.writeInt(counts[slot]);
            }
        }
    }

    /** Becomes what was written; of a window of another length, all of it as if it had happened last. */
    void read(DataInputStream in) throws IOException {
        long writtenStepMs = in.readLong();
        long writtenStep = in.readLong();
        boolean same = writtenStepMs == stepMs;
        Arrays.fill(counts, 0);
        lastStep = Math.max(0, writtenStep * writtenStepMs / stepMs);
        for (int left = in.readByte(); left > 0; left--) {
            int slot = Math.floorMod(in.readByte(), STEPS);
            int count = in.readInt();
            counts[same ? slot : (int) (lastStep % STEPS)] += count;
        }
    }

    private void advance(long nowMs) {
        long step = Math.max(lastStep, Math.max(0, nowMs) / stepMs);
        for (long s = Math.max(lastStep + 1, step - STEPS + 1); s <= step; s++) {
            counts[(int) (s % STEPS)] = 0;
        }
        lastStep = step;
    }
}
