package io.lockstep.telemetry.trace;

import java.util.Arrays;

/** Times of many events, in words. */
public final class Delays {
    private Delays() {}

    /**
     * Half, nearly all and all of them.
     *
     * @param delaysNs at least one
     */
    public static String words(long[] delaysNs) {
        long[] sorted = delaysNs.clone();
        Arrays.sort(sorted);
        return String.format(
                "p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, longest %.3f ms of %d",
                sorted[sorted.length / 2] / 1e6,
                sorted[sorted.length * 9 / 10] / 1e6,
                sorted[sorted.length * 99 / 100] / 1e6,
                sorted[sorted.length - 1] / 1e6,
                sorted.length);
    }
}
