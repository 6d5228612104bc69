package io.lockstep.replication.pipeline;

/**
 * Sizes of one pipeline; all memory is taken when it starts.
 *
 * @param ringSlots page slots, a power of two from 64 to 2^18 (1 GiB); the capture can be so far ahead of the link
 * @param encoders threads that encode, 1 to 16
 * @param cacheBytes content of pages last sent, over all encoders; 0 for no deltas
 * @param batchBytes about the size of a PageBatch message, 16 KiB to 1 MiB - 64 KiB
 * @param deviceStateBytesMax largest device state of an epoch, to 896 KiB: it travels in one frame of 1 MiB
 * @param scrubPagesMax most scrubbed pages of an epoch, to 4096
 * @param claimTimeoutMs longest wait of the capture for slots
 */
public record PipelineConfig(
        int ringSlots,
        int encoders,
        long cacheBytes,
        int batchBytes,
        int deviceStateBytesMax,
        int scrubPagesMax,
        long claimTimeoutMs) {
    /** Epochs whose end may wait in the ring at once. */
    static final int EPOCHS_IN_RING = 4;

    /** Most slots: 1 GiB. */
    public static final int RING_SLOTS_MAX = 1 << 18;

    /** Most encoders. */
    public static final int ENCODERS_MAX = 16;

    /** Most cache of one encoder. */
    public static final long CACHE_BYTES_MAX = 1L << 30;

    public PipelineConfig {
        within("ring slots", ringSlots, 64, RING_SLOTS_MAX);
        if (Integer.bitCount(ringSlots) != 1) {
            throw new IllegalArgumentException("ring slots " + ringSlots + " is no power of two");
        }
        within("encoders", encoders, 1, ENCODERS_MAX);
        within("page cache bytes", cacheBytes, 0, encoders * CACHE_BYTES_MAX);
        within("batch bytes", batchBytes, 16 << 10, (1 << 20) - (64 << 10));
        within("device state bytes", deviceStateBytesMax, 4096, 896 << 10);
        within("scrub pages", scrubPagesMax, 0, 4096);
        within("claim timeout", claimTimeoutMs, 1, 600_000);
    }

    /** 32 MiB of slots, two encoders, 64 MiB of cache, 256 KiB batches, 512 KiB of device state, 256 scrubbed pages, 5 s. */
    public static PipelineConfig defaults() {
        return new PipelineConfig(8192, 2, 64L << 20, 256 << 10, 512 << 10, 256, 5_000);
    }

    /** Direct memory that a pipeline of these sizes takes, without threads and code. */
    public long directBytes() {
        return ringSlots * 4096L
                + cacheBytes
                + (long) EPOCHS_IN_RING * deviceStateBytesMax
                + SealHandler.messageBytes(this);
    }

    private static void within(String what, long value, long min, long max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(what + " " + value + " not in " + min + ".." + max);
        }
    }
}
