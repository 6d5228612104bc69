package io.lockstep.replication.pipeline;

import java.util.concurrent.atomic.AtomicInteger;

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

    /** With {@link PageCodec#FLAG_MAY_REFER}: a page of memory with the same content, as {@link PageCache} names it; 0: none is known so far. */
    volatile long found;

    /** Encoders that have looked for one. */
    private final AtomicInteger looked = new AtomicInteger();

    /** None has been looked for; before the slot is published. */
    void unlooked() {
        found = 0;
        looked.setPlain(0);
    }

    /** Counts an encoder that has looked; what those before it have written is seen by the last one. */
    int looked() {
        return looked.incrementAndGet();
    }
}
