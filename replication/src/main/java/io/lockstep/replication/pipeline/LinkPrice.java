package io.lockstep.replication.pipeline;

/** What one byte costs on its way to the peer, measured where it is sent. One writer; read by the encoders. */
final class LinkPrice {
    /** Prices are in ns × 1024, so that integers do. */
    static final long SCALE = 1024;
    /** 1 ns a byte: the peer decrypts (0.55), checks (0.07), journals (0.15) and applies (0.25) it even if the link is free. */
    static final long FLOOR = SCALE;
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
            long now = FLOOR + ns * SCALE / bytes;
            long next = scaled + (now - scaled) / 8;
            scaled = Math.max(FLOOR, Math.min(CEILING, next));
        }
    }
}
