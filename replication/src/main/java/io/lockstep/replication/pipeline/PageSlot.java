package io.lockstep.replication.pipeline;

/** The description of one slot of the ring; its 4096 bytes lie in the arena. Written by the capture, then by one encoder. */
final class PageSlot {
    SlotKind kind = SlotKind.NONE;
    int block;
    int page;
    /** {@link PageCodec} flags of a PAGE; 1 for the last VERIFY; bytes of a MESSAGE. */
    int flags;

    /** Index of the {@link EpochFields} of an EPOCH_BEGIN or EPOCH_END. */
    int fields;

    /** Set by the encoder: how the page travels and its payload's bytes. */
    Encoding encoding = Encoding.RAW;

    int payloadBytes;
    /** Set by the encoder of a SCRUB or VERIFY. */
    long hash;
}
