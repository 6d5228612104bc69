package io.lockstep.replication.pipeline;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.Sequence;
import io.lockstep.replication.DutyCycle;
import java.nio.ByteBuffer;
import org.agrona.BufferUtil;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Encodes or hashes its share of the slots: a page always falls to the same encoder, so that its versions stay in order and its
 * cache needs no lock. A disk's page that may refer to memory is looked for by all of them.
 */
final class EncodeHandler implements EventHandler<PageSlot> {
    /** The sealer starts on what is encoded after so many slots: 64 × 0.5 µs. */
    private static final int REPORT_SLOTS = 64;
    /** A stop that begins finds the cores free after so many slots. */
    private static final int REST_SLOTS = 16;
    /** Eight neighbours fall to one encoder: it finds their descriptions in the same cache lines. */
    private static final int NEIGHBOURS_SHIFT = 3;

    private final PipelineControl control;
    private final ByteBuffer arena;
    private final UnsafeBuffer arenaBuffer;
    private final long arenaAddress;
    private final int slotMask;
    private final int index;
    private final int encoders;
    private final PageCodec codec;
    private final ComparedPages compared;
    private final HandlerRounds rounds;
    private Sequence sequence = new Sequence();
    private boolean epochOpen;

    EncodeHandler(
            PipelineControl control,
            ByteBuffer arena,
            int slots,
            int index,
            int encoders,
            PageCache cache,
            ComparedPages compared,
            NanoClock clock) {
        this.control = control;
        this.arena = arena.duplicate();
        this.arenaBuffer = new UnsafeBuffer(arena);
        this.arenaAddress = BufferUtil.address(arena);
        this.slotMask = slots - 1;
        this.index = index;
        this.encoders = encoders;
        this.compared = compared;
        this.codec = new PageCodec(cache, clock);
        this.rounds = new HandlerRounds(clock);
    }

    /** How regularly it reports what it has encoded; any thread. */
    DutyCycle rounds() {
        return rounds.cycle();
    }

    /**
     * Forgets the session; while no slot is in the ring only.
     *
     * @param references as {@link PageCodec#references} takes it
     */
    void reset(boolean references) {
        codec.cache().clear();
        codec.references(references);
        epochOpen = false;
    }

    @Override
    public void setSequenceCallback(Sequence sequence) {
        this.sequence = sequence;
    }

    @Override
    public void onBatchStart(long batchSize, long queueDepth) {
        rounds.begin();
        codec.price(control.price.scaled());
    }

    @Override
    public void onEvent(PageSlot slot, long sequence, boolean endOfBatch) {
        try {
            if (control.running()) {
                encode(slot, sequence);
            }
        } catch (RuntimeException e) {
            rounds.failed();
            throw e;
        }
        if (endOfBatch || (sequence & REPORT_SLOTS - 1) == 0) {
            this.sequence.set(sequence);
            control.ring.encoded();
            rounds.reported(endOfBatch);
        }
        if ((sequence & REST_SLOTS - 1) == 0) {
            rounds.rest(control.ring, endOfBatch);
        }
    }

    private void encode(PageSlot slot, long sequence) {
        switch (slot.kind) {
            case PAGE -> {
                int offset = (int) (sequence & slotMask) * PagePipeline.SLOT_BYTES;
                if ((slot.flags & PageCodec.FLAG_MAY_REFER) != 0) {
                    look(slot, offset);
                } else if (mine(slot) && (slot.flags & PageCodec.FLAG_ENCODED) == 0) {
                    page(slot, offset);
                }
            }
            case SCRUB, VERIFY -> {
                if (mine(slot)) {
                    slot.hash = PageHash.of(arena, (int) (sequence & slotMask) * PagePipeline.SLOT_BYTES);
                }
            }
            case EPOCH_BEGIN -> {
                if (epochOpen) {
                    // The peer drops what came of the epoch before, so the cache is ahead of it.
                    codec.cache().clear();
                }
                epochOpen = true;
            }
            case EPOCH_END -> epochOpen = false;
            case NONE, MESSAGE -> {}
        }
    }

    private void page(PageSlot slot, int offset) {
        // SAFETY: the offset is that of this sequence's slot, inside the arena and its slack.
        slot.payloadBytes = codec.encode(arena, arenaAddress, offset, slot.block, slot.page, slot.flags);
        slot.encoding = codec.encoding();
        if ((slot.flags & PageCodec.FLAG_HOT) != 0) {
            compared.page(slot.block, slot.page, codec.changed());
        }
    }

    /** Each encoder looks among the pages that it has sent, and has sent all that come before this one; the last to look encodes. */
    private void look(PageSlot slot, int offset) {
        long found = codec.find(arena, arenaAddress, offset);
        if (found != 0) {
            slot.found = found;
        }
        if (slot.looked() < encoders) {
            return;
        }
        found = slot.found;
        if (found == 0) {
            page(slot, offset);
        } else {
            slot.payloadBytes = codec.refer(arenaBuffer, offset, found);
            slot.encoding = codec.encoding();
        }
    }

    private boolean mine(PageSlot slot) {
        int hash = ((slot.page >>> NEIGHBOURS_SHIFT) + slot.block * 31) * 0x9e3779b9;
        return (int) (((hash & 0xffff_ffffL) * encoders) >>> 32) == index;
    }
}
