package io.lockstep.replication.link;

/**
 * What the other side of a session last said of its host's hardware. This module carries the code and does not know what it means: see the schema,
 * Heartbeat. One thread writes, any thread reads; allocates nothing.
 */
public final class ReportedHealth {
    /** Nothing was said, or too long ago, or the other side does not know either: it may be of an older version. */
    public static final int UNKNOWN = 255;

    private volatile int code = UNKNOWN;
    private volatile long saidNs;

    /** The other side said so. */
    public void said(int newCode, long nowNs) {
        code = newCode;
        // After the code: who reads a new time reads no old code.
        saidNs = nowNs;
    }

    /**
     * What was said last.
     *
     * @param ageNsMax what is older counts no more
     */
    public int code(long nowNs, long ageNsMax) {
        long said = saidNs;
        int last = code;
        return nowNs - said > ageNsMax ? UNKNOWN : last;
    }
}
