package io.lockstep.replication.pipeline;

import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.Sequence;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.trace.EpochStage;
import io.lockstep.replication.trace.EpochTrace;
import java.nio.ByteBuffer;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.UnsafeBuffer;

/** Sends what the encoders made, in the ring's order. One thread; allocates nothing. */
final class SealHandler implements EventHandler<PageSlot> {
    /** The capture gets slots back after so many: 64 × 4 KiB. */
    private static final int REPORT_SLOTS = 64;
    /** A stop that begins finds the cores free after so many slots. */
    private static final int REST_SLOTS = 16;
    /** With nothing else to do, a batch of this size is sent: its TLS records are full, and the epoch's end comes sooner. */
    private static final int IDLE_SEND_BYTES = 64 << 10;

    private final PipelineControl control;
    private final EpochFields[] fields;
    private final UnsafeBuffer arena;
    private final int slotMask;
    private final Outbox outbox;
    private final BatchWriter batch;
    private final EpochMessages messages;
    private final PipelineCounters counters;
    private final EpochListener listener;
    private Sequence sequence = new Sequence();
    private final HandlerRounds rounds;
    private boolean epochOpen;
    private volatile long endsSealed;

    SealHandler(
            PipelineControl control,
            PipelineConfig config,
            ByteBuffer arena,
            EpochFields[] fields,
            PipelineCounters counters,
            EpochListener listener,
            NanoClock clock) {
        this.control = control;
        this.fields = fields;
        this.arena = new UnsafeBuffer(arena);
        this.slotMask = config.ringSlots() - 1;
        this.outbox = new Outbox(control, counters, clock);
        this.batch = new BatchWriter(outbox, counters, arena, config.batchBytes());
        this.messages = new EpochMessages(outbox, config);
        this.counters = counters;
        this.listener = listener;
        this.rounds = new HandlerRounds(clock);
    }

    /** Direct memory of the messages being built. */
    static long messageBytes(PipelineConfig config) {
        return config.batchBytes() + PageRecord.BYTES_MAX + EpochMessages.bytes(config);
    }

    /** Epoch ends that have left the ring, sent or not; any thread. */
    long endsSealed() {
        return endsSealed;
    }

    /** How regularly it reports what it has sent; any thread. */
    DutyCycle rounds() {
        return rounds.cycle();
    }

    /** Forgets the session; while no slot is in the ring only. */
    void reset() {
        batch.drop();
        messages.drop();
        epochOpen = false;
    }

    @Override
    public void setSequenceCallback(Sequence sequence) {
        this.sequence = sequence;
    }

    @Override
    public void onBatchStart(long batchSize, long queueDepth) {
        rounds.begin();
    }

    @Override
    @SuppressWarnings("NonAtomicVolatileUpdate") // One writer.
    public void onEvent(PageSlot slot, long sequence, boolean endOfBatch) {
        boolean epochEnds = slot.kind == SlotKind.EPOCH_END;
        try {
            if (control.running()) {
                seal(slot, sequence, endOfBatch);
            }
        } catch (LinkException | RuntimeException e) {
            // Before the sequence moves on: who waits for that may start the next session, which this must not fail.
            control.fail(e);
        } finally {
            if (epochEnds) {
                endsSealed++;
            }
            if (endOfBatch || epochEnds || (sequence & REPORT_SLOTS - 1) == 0) {
                this.sequence.set(sequence);
                control.sealed(sequence);
                rounds.reported(endOfBatch);
            }
        }
        if ((sequence & REST_SLOTS - 1) == 0) {
            rounds.rest(control.ring, endOfBatch);
        }
    }

    private void seal(PageSlot slot, long sequence, boolean endOfBatch) throws LinkException {
        int offset = (int) (sequence & slotMask) * PagePipeline.SLOT_BYTES;
        SlotKind kind = slot.kind;
        if (kind != SlotKind.VERIFY) {
            messages.sendHashes(false);
        }
        switch (kind) {
            case PAGE -> {
                open();
                batch.append(slot, offset);
            }
            case SCRUB -> {
                open();
                messages.scrub(slot);
            }
            case VERIFY -> {
                open();
                batch.send();
                messages.verify(slot, batch.counts().epoch);
            }
            case EPOCH_BEGIN -> {
                EpochFields begun = fields[slot.fields];
                batch.begin(begun);
                messages.begin(begun);
                epochOpen = true;
            }
            case EPOCH_END -> end(fields[slot.fields]);
            case MESSAGE -> {
                batch.send();
                outbox.send(arena, offset, slot.flags);
                outbox.flush();
            }
            case NONE -> {}
        }
        if (endOfBatch && batch.waitingBytes() >= IDLE_SEND_BYTES) {
            batch.send();
            outbox.flush();
        }
    }

    private void end(EpochFields ended) throws LinkException {
        open();
        epochOpen = false;
        batch.send();
        EpochCounts counts = batch.counts();
        messages.end(ended, counts, batch.checksum());
        outbox.flush();
        for (int code = 0; code < Encoding.COUNT; code++) {
            counters.page(code, counts.pages[code], counts.bytes[code]);
        }
        counters.referable(counts.referable);
        counters.epoch();
        EpochTrace.done(EpochStage.SENT, counts.epoch, System.nanoTime());
        listener.onEpochSent(counts);
    }

    private void open() {
        if (!epochOpen) {
            throw new IllegalStateException("a page or an epoch's end without the epoch's beginning");
        }
    }
}
