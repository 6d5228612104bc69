package io.lockstep.replication.pipeline;

/** What a slot of the ring carries. */
enum SlotKind {
    /** Claimed and not described: passed over. */
    NONE,
    /** A page to encode and send. */
    PAGE,
    /** A page at the epoch's boundary, of which EpochEnd carries the hash. */
    SCRUB,
    /** A page at the epoch's boundary, of which VerifyHashes carries the hash. */
    VERIFY,
    /** The epoch starts. */
    EPOCH_BEGIN,
    /** The epoch's last slot; refers to an {@link EpochFields}. */
    EPOCH_END,
    /** A whole message, sent as it is. */
    MESSAGE
}
