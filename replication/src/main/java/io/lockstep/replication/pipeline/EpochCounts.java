package io.lockstep.replication.pipeline;

import io.lockstep.replication.wire.EpochKind;

/** What one epoch came to on the link; reused for the next one, so read it during the call that hands it over. */
public final class EpochCounts {
    final long[] pages = new long[Encoding.COUNT];
    final long[] bytes = new long[Encoding.COUNT];
    long epoch;
    EpochKind kind = EpochKind.SYNC;
    int batches;
    int scrubbed;
    long referable;
    long pageCount;
    long pageBytes;
    int deviceStateBytes;

    void clear(long epoch, EpochKind kind) {
        this.epoch = epoch;
        this.kind = kind;
        java.util.Arrays.fill(pages, 0);
        java.util.Arrays.fill(bytes, 0);
        batches = 0;
        scrubbed = 0;
        referable = 0;
        pageCount = 0;
        pageBytes = 0;
        deviceStateBytes = 0;
    }

    /** The epoch's number. */
    public long epoch() {
        return epoch;
    }

    /** First copy or consistent epoch. */
    public EpochKind kind() {
        return kind;
    }

    /** Pages that travelled so, or did not need to ({@link Encoding#UNCHANGED}). */
    public long pages(Encoding encoding) {
        return pages[encoding.code()];
    }

    /** Bytes of records, headers included, of that encoding. */
    public long bytes(Encoding encoding) {
        return bytes[encoding.code()];
    }

    /** Pages sent, unchanged ones not counted. */
    public long pageCount() {
        return pageCount;
    }

    /** Bytes of all records. */
    public long pageBytes() {
        return pageBytes;
    }

    /** PageBatch messages. */
    public int batches() {
        return batches;
    }

    /** Pages whose hash the end of the epoch carries. */
    public int scrubbed() {
        return scrubbed;
    }

    /** Bytes of device state. */
    public int deviceStateBytes() {
        return deviceStateBytes;
    }
}
