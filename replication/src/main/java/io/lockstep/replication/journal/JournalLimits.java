package io.lockstep.replication.journal;

/**
 * How much a journal may hold.
 *
 * @param segmentBytes a segment is closed once it holds this much; 1 MiB to 1 GiB
 * @param bytesMax oldest applied segments go when there is more, at least two segments
 * @param ageMsMax applied segments older than this go, milliseconds
 */
public record JournalLimits(long segmentBytes, long bytesMax, long ageMsMax) {
    private static final long SEGMENT_BYTES_MIN = 1L << 20; // one message of the largest size
    private static final long SEGMENT_BYTES_MAX = 1L << 30;

    public JournalLimits {
        if (segmentBytes < SEGMENT_BYTES_MIN || segmentBytes > SEGMENT_BYTES_MAX) {
            throw new IllegalArgumentException("journal segment " + segmentBytes + " bytes not in " + SEGMENT_BYTES_MIN
                    + ".." + SEGMENT_BYTES_MAX);
        }
        if (bytesMax < 2 * segmentBytes) {
            throw new IllegalArgumentException("journal bytes " + bytesMax + " < two segments of " + segmentBytes);
        }
        if (ageMsMax <= 0) {
            throw new IllegalArgumentException("journal age " + ageMsMax + " ms <= 0");
        }
    }

    /** 64 MiB segments, 1 GiB in all, ten minutes. */
    public static JournalLimits defaults() {
        return new JournalLimits(64L << 20, 1L << 30, 600_000);
    }
}
