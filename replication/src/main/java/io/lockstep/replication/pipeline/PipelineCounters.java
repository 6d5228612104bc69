package io.lockstep.replication.pipeline;

import java.util.concurrent.atomic.AtomicLongArray;

/** Totals since the pipeline started, over all its sessions. Written by the sealer, read by any thread. */
public final class PipelineCounters {
    private static final int BYTES = Encoding.COUNT;
    private static final int EPOCHS = 2 * Encoding.COUNT;
    private static final int BATCHES = EPOCHS + 1;
    private static final int MESSAGES = EPOCHS + 2;
    private static final int MESSAGE_BYTES = EPOCHS + 3;
    private static final int REFERABLE = EPOCHS + 4;
    private static final int LENGTH = EPOCHS + 5;

    private final AtomicLongArray values = new AtomicLongArray(LENGTH);
    private final PageCache[] caches;
    private final PipelineControl control;

    PipelineCounters(PageCache[] caches, PipelineControl control) {
        this.caches = caches;
        this.control = control;
    }

    /** Pages of an encoding. */
    public long pages(Encoding encoding) {
        return values.get(encoding.code());
    }

    /** Bytes of records, headers included, of an encoding. */
    public long bytes(Encoding encoding) {
        return values.get(BYTES + encoding.code());
    }

    /** Pages, not zero, that could have travelled as {@link Encoding#REFERENCE}, had their content been found. */
    public long referable() {
        return values.get(REFERABLE);
    }

    /** Epochs whose end was sent. */
    public long epochs() {
        return values.get(EPOCHS);
    }

    /** PageBatch messages. */
    public long batches() {
        return values.get(BATCHES);
    }

    /** Messages of all kinds, handed to the channel. */
    public long messages() {
        return values.get(MESSAGES);
    }

    /** Their bytes, before framing and encryption. */
    public long messageBytes() {
        return values.get(MESSAGE_BYTES);
    }

    /** How often the pipeline failed. */
    public long failures() {
        return control.failures();
    }

    /** Pages found in the cache; an approximation while the encoders run. */
    public long cacheHits() {
        long sum = 0;
        for (PageCache cache : caches) {
            sum += cache.hits();
        }
        return sum;
    }

    /** Pages looked for in the cache and not found; an approximation while the encoders run. */
    public long cacheMisses() {
        long sum = 0;
        for (PageCache cache : caches) {
            sum += cache.misses();
        }
        return sum;
    }

    void page(int code, long pages, long bytes) {
        add(code, pages);
        add(BYTES + code, bytes);
    }

    void referable(long pages) {
        add(REFERABLE, pages);
    }

    void message(int bytes) {
        add(MESSAGES, 1);
        add(MESSAGE_BYTES, bytes);
    }

    void batch() {
        add(BATCHES, 1);
    }

    void epoch() {
        add(EPOCHS, 1);
    }

    private void add(int index, long value) {
        // One writer, so no read-modify-write is needed.
        values.lazySet(index, values.getPlain(index) + value);
    }
}
