package io.lockstep.replication.pipeline;

/** How a page's content travels. The numbers are on the wire and in the journal: never reuse one. */
public enum Encoding {
    /** All 4096 bytes are zero; no payload. */
    ZERO(0),
    /** The same as last sent; on the primary only, never on the wire. */
    UNCHANGED(1),
    /** The new bytes of the changed runs: see {@link PageDelta}. */
    DELTA(2),
    /** One LZ4 block that expands to exactly 4096 bytes. */
    LZ4(3),
    /** The 4096 bytes themselves. */
    RAW(4),
    /** A disk's page: where in the memory that the peer holds the same bytes are; see {@link PageReference}. */
    REFERENCE(5);

    /** Number of encodings; codes run from 0 to this, exclusive. */
    public static final int COUNT = 6;

    private static final Encoding[] BY_CODE = values();

    static {
        for (int code = 0; code < BY_CODE.length; code++) {
            if (BY_CODE[code].code != code || BY_CODE.length != COUNT) {
                throw new ExceptionInInitializerError("encoding codes must count from 0 to " + (COUNT - 1));
            }
        }
    }

    private final int code;

    Encoding(int code) {
        this.code = code;
    }

    /** The code on the wire. */
    public int code() {
        return code;
    }

    /** The encoding of a code from 0 to {@link #COUNT}, exclusive. */
    public static Encoding of(int code) {
        return BY_CODE[code];
    }
}
