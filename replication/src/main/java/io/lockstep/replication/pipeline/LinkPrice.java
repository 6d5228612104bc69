package io.lockstep.replication.pipeline;

/** What one byte costs on its way to the peer, measured where it is sent. One writer; read by the encoders. */
final class LinkPrice {
    /** Prices are in ns × 1024, so that integers do. */
    static final long SCALE = 1024;
    /** 0.4 ns a byte that the peer need not decrypt, check and journal, less what expanding costs it; counted if the link is free. */
    static final long FLOOR = SCALE * 2 / 5;
    /** 100 ns a byte = 10 MB/s: slower than that changes no choice. */
    static final long CEILING = 100 * SCALE;

    private volatile long scaled = FLOOR;

    /** The price, ns × {@link #SCALE}, between {@link #FLOOR} and {@link #CEILING}. */
    long scaled() {
        return scaled;
    }

    /** Learns from one message; the sender's thread only. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // One writer.
    void sent(int bytes, long ns) {
        if (bytes > 0 && ns >= 0) {
            // Waiting for the core counts here as it does in the measured cost of LZ4, so a busy machine favours
            // neither.
            long now = FLOOR + ns * SCALE / bytes;
            long next = scaled + (now - scaled) / 16;
            scaled = Math.max(FLOOR, Math.min(CEILING, next));
        }
    }
}
