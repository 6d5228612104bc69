package io.lockstep.replication.protection;

import io.lockstep.replication.RamBlock;

/** How far the first copy is. Written by the capture thread alone, read by any. */
@SuppressWarnings("NonAtomicVolatileUpdate") // one writer
public final class SyncProgress {
    private volatile long beganNs;
    private volatile long tookNs;
    private volatile long copiedPages;
    private volatile long pendingPages;
    private volatile int passes;
    private volatile int copies;
    private boolean passOpen;

    void begin(int pages, long nowNs) {
        beganNs = nowNs;
        tookNs = 0;
        copiedPages = 0;
        pendingPages = pages;
        passes = 0;
        copies++;
        passOpen = false;
    }

    boolean passOpen() {
        return passOpen;
    }

    void passBegins(int pages) {
        passOpen = true;
        passes++;
        pendingPages = pages;
    }

    void copied(int pages, int left, long nowNs) {
        copiedPages += pages;
        pendingPages = left;
        tookNs = nowNs - beganNs;
    }

    void passEnds() {
        passOpen = false;
    }

    void complete(long nowNs) {
        if (copies > 0 && passes > 0 && pendingPages != 0) {
            pendingPages = 0;
        }
        if (tookNs == 0) {
            tookNs = nowNs - beganNs;
        }
    }

    /** Guest memory copied so far, in bytes, over all passes. */
    public long copiedBytes() {
        return copiedPages * RamBlock.PAGE_BYTES;
    }

    /** Guest memory that this pass has still to copy, in bytes. */
    public long pendingBytes() {
        return pendingPages * RamBlock.PAGE_BYTES;
    }

    /** Time from its beginning to its last page; 0 before the first. */
    public long tookNs() {
        return tookNs;
    }

    /** Passes of the present or last copy. */
    public int passes() {
        return passes;
    }

    /** Full copies since protection began. */
    public int copies() {
        return copies;
    }
}
