package io.lockstep.telemetry.health;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/** The last few different numbers, how often and when each was seen. For one thread. */
final class Spread {
    private static final int KEPT = 8;

    private final int[] numbers = new int[KEPT];
    private final long[] counts = new long[KEPT];
    private final long[] seenMs = new long[KEPT];
    private int used;

    void add(int number, long count, long nowMs) {
        int place = place(number);
        if (place == used) {
            if (used < KEPT) {
                used++;
            } else {
                place = oldest();
            }
            numbers[place] = number;
            counts[place] = 0;
        }
        counts[place] += count;
        seenMs[place] = nowMs;
    }

    /** Takes away; a number that was seen no more often is forgotten. */
    void take(int number, long count) {
        int place = place(number);
        if (place == used) {
            return;
        }
        counts[place] -= count;
        if (counts[place] <= 0) {
            used--;
            numbers[place] = numbers[used];
            counts[place] = counts[used];
            seenMs[place] = seenMs[used];
        }
    }

    /** How many different numbers were seen in the window that ends now. */
    int different(long nowMs, long windowMs) {
        int different = 0;
        for (int i = 0; i < used; i++) {
            different += nowMs - seenMs[i] <= windowMs ? 1 : 0;
        }
        return different;
    }

    boolean empty() {
        return used == 0;
    }

    private int place(int number) {
        int place = 0;
        while (place < used && numbers[place] != number) {
            place++;
        }
        return place;
    }

    private int oldest() {
        int oldest = 0;
        for (int i = 1; i < KEPT; i++) {
            oldest = seenMs[i] < seenMs[oldest] ? i : oldest;
        }
        return oldest;
    }

    void write(DataOutputStream out) throws IOException {
        out.writeByte(used);
        for (int i = 0; i < used; i++) {
            out.writeInt(numbers[i]);
            out.writeLong(counts[i]);
            out.writeLong(seenMs[i]);
        }
    }

    static Spread read(DataInputStream in) throws IOException {
        Spread spread = new Spread();
        for (int left = in.readByte(); left > 0; left--) {
            spread.add(in.readInt(), in.readLong(), in.readLong());
        }
        return spread;
    }
}
