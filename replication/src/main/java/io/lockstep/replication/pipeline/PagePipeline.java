package io.lockstep.replication.pipeline;

import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.InsufficientCapacityException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.RunState;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The way of pages from the capture to the link: a ring of preallocated slots, encoders in parallel, one sealer that sends.
 *
 * <pre>
 *   capture: awaitFree .. STOP .. claim, fill address(s), describe, publish .. RESUME, epochEnd
 *   ring:    [EPOCH_BEGIN][PAGE][PAGE]...[SCRUB]...[EPOCH_END]        slot i: arena + i × 4096, neighbours in memory, too
 *   threads: encode-0 .. encode-n (a page always falls to the same one) then seal
 * </pre>
 *
 * All methods are for the capture thread, but for {@link #state()}, {@link #failure()}, {@link #counters()} and {@link #abort}. Slots are
 * published in the order in which they were claimed. Nothing is allocated after the start, but for exceptions. A failure of
 * an encoder, the sealer or the channel makes the state {@link PipelineState#FAILED}: published slots are passed over and
 * every wait of the capture ends with the cause, until the next {@link #attach}.
 */
public final class PagePipeline implements AutoCloseable {
    /** Bytes of a slot. */
    public static final int SLOT_BYTES = RamBlock.PAGE_BYTES;

    /** Behind the last slot, for encoders that read whole words. */
    private static final int ARENA_SLACK_BYTES = 64;
    /** A wait of the capture looks again after this long, should a wake-up be missed. */
    private static final long RECHECK_NS = 10_000_000;
    /** A link that is slow, but takes something within each timeout, gets this many of them: dropping it would only have more to send. */
    private static final int TIMEOUTS_WITH_PROGRESS = 8;
    /** The ring has this long to empty at the end. */
    private static final long CLOSE_NS = 2_000_000_000;

    private final PipelineConfig config;
    private final NanoClock clock;
    private final PipelineControl control = new PipelineControl();
    private final PipelineCounters counters;
    private final EpochFields[] fields = new EpochFields[PipelineConfig.EPOCHS_IN_RING];
    private final AlignedMemory memory;
    private final PageCache[] caches;
    private final List<Thread> workers = new ArrayList<>();
    private final EncodeHandler[] encoders;
    private final SealHandler sealer;
    private final Disruptor<PageSlot> disruptor;
    private final RingBuffer<PageSlot> ring;
    private final UnsafeBuffer arena;
    private final long arenaAddress;
    private final int slotMask;
    private long claimedTo = -1;
    private long publishedTo = -1;
    private long endsPublished;

    /**
     * Takes the memory and starts the threads.
     *
     * @param threads names them and makes them daemons
     * @param listener on the sealer's thread
     * @param compared hears of pages with {@link PageCodec#FLAG_HOT}; on the encoders' threads
     */
    public PagePipeline(
            PipelineConfig config,
            ThreadFactory threads,
            EpochListener listener,
            ComparedPages compared,
            NanoClock clock) {
        this.config = config;
        this.clock = clock;
        int slots = config.ringSlots();
        memory = new AlignedMemory(slots * SLOT_BYTES + ARENA_SLACK_BYTES);
        arena = new UnsafeBuffer(memory.buffer());
        arenaAddress = BufferUtil.address(memory.buffer());
        slotMask = slots - 1;
        for (int i = 0; i < fields.length; i++) {
            fields[i] = new EpochFields(config.deviceStateBytesMax());
        }
        int encoderCount = config.encoders();
        caches = new PageCache[encoderCount];
        encoders = new EncodeHandler[encoderCount];
        for (int i = 0; i < encoderCount; i++) {
            caches[i] = new PageCache(config.cacheBytes() / encoderCount);
            encoders[i] =
                    new EncodeHandler(control, memory.buffer(), slots, i, encoderCount, caches[i], compared, clock);
        }
        counters = new PipelineCounters(caches, control);
        sealer = new SealHandler(control, config, memory.buffer(), fields, counters, listener, clock);
        disruptor = new Disruptor<>(PageSlot::new, slots, recording(threads), ProducerType.SINGLE, control.ring);
        disruptor.setDefaultExceptionHandler(new FailStream());
        disruptor.handleEventsWith(encoders).then(sealer);
        ring = disruptor.start();
    }

    private ThreadFactory recording(ThreadFactory threads) {
        return body -> {
            Thread worker = threads.newThread(body);
            workers.add(worker);
            return worker;
        };
    }

    /** What becomes of published slots; any thread. */
    public PipelineState state() {
        return control.state();
    }

    /** Why the state is FAILED, or null; any thread. */
    public @Nullable Throwable failure() {
        return control.cause();
    }

    /** Totals; any thread. */
    public PipelineCounters counters() {
        return counters;
    }

    /** How regularly its threads come round while they have something to do, by {@code encode-0} and so on and {@code send}; any thread. */
    public Map<String, DutyCycle> rounds() {
        Map<String, DutyCycle> rounds = new LinkedHashMap<>();
        for (int i = 0; i < encoders.length; i++) {
            rounds.put("encode-" + i, encoders[i].rounds());
        }
        rounds.put("send", sealer.rounds());
        return rounds;
    }

    /** Slots that {@link #claim} would give at once. */
    public int freeSlots() {
        return (int) ring.remainingCapacity();
    }

    /** Epoch ends that the ring takes at once, 0 to 4; at least 1 is needed for {@link #deviceState()}. */
    public int freeEpochs() {
        return fields.length - (int) (endsPublished - sealer.endsSealed());
    }

    /**
     * Waits until so many slots and one epoch end are free: before a stop, never inside a pause.
     *
     * @throws PipelineException {@code pipeline-full} after the timeout, {@code pipeline-failed} with the cause, or
     *     {@code pipeline-detached}
     */
    public void awaitFree(int slots, long timeoutMs) throws PipelineException {
        if (slots < 1 || slots > config.ringSlots()) {
            throw new IllegalArgumentException("slots " + slots + " not in 1.." + config.ringSlots());
        }
        requireRunning();
        if (isFree(slots)) {
            return;
        }
        control.ring.quiet(false);
        long timeoutNs = TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        long deadlineNs = clock.nanoTime() + timeoutNs;
        long lastNs = deadlineNs + (TIMEOUTS_WITH_PROGRESS - 1) * timeoutNs;
        long free = freeSlots();
        control.await(Thread.currentThread(), claimedTo + slots - config.ringSlots());
        try {
            while (!isFree(slots)) {
                requireRunning();
                long nowNs = clock.nanoTime();
                if (freeSlots() > free) {
                    free = freeSlots();
                    deadlineNs = Math.min(nowNs + timeoutNs, lastNs);
                }
                long leftNs = deadlineNs - nowNs;
                if (leftNs <= 0) {
                    throw new PipelineException(
                            "pipeline-full",
                            "free slots " + freeSlots() + " of " + slots + " wanted, free epoch ends " + freeEpochs()
                                    + " of 1 wanted, after " + timeoutMs + " ms: the link does not keep up");
                }
                LockSupport.parkNanos(this, Math.min(leftNs, RECHECK_NS));
            }
        } finally {
            control.awaited();
        }
    }

    private boolean isFree(int slots) {
        return ring.hasAvailableCapacity(slots) && freeEpochs() > 0;
    }

    /**
     * Claims slots, waiting up to the configured time; they carry nothing until they are described.
     *
     * @return the first sequence; the others follow it
     * @throws PipelineException as {@link #awaitFree}
     */
    public long claim(int slots) throws PipelineException {
        if (!control.running() || !ring.hasAvailableCapacity(slots)) {
            awaitFree(slots, config.claimTimeoutMs());
        }
        long last;
        try {
            last = ring.tryNext(slots);
        } catch (InsufficientCapacityException e) {
            throw new IllegalStateException("capacity vanished: two threads claim", e);
        }
        long first = last - slots + 1;
        for (long sequence = first; sequence <= last; sequence++) {
            ring.get(sequence).kind = SlotKind.NONE;
        }
        claimedTo = last;
        return first;
    }

    /** Where the 4096 bytes of a claimed slot lie, for the kernel to fill; valid until it is published. */
    public long address(long sequence) {
        // SAFETY: the mask keeps the slot within the arena, which this object keeps reachable.
        return arenaAddress + (sequence & slotMask) * SLOT_BYTES;
    }

    /** How many slots from this one on lie one behind the other in memory, up to the ring's end. */
    public int contiguous(long sequence) {
        return config.ringSlots() - (int) (sequence & slotMask);
    }

    /** A view of all slots: slot {@code sequence} begins at {@link #offset}. */
    public UnsafeBuffer slots() {
        return arena;
    }

    /** Offset of a slot in {@link #slots()}. */
    public int offset(long sequence) {
        return (int) (sequence & slotMask) * SLOT_BYTES;
    }

    /** The slot holds a page to send; flags of {@link PageCodec}, added. */
    public void describe(long sequence, int block, int page, int flags) {
        describe(sequence, SlotKind.PAGE, block, page, flags);
    }

    /**
     * Fills a slot with a part of a page, e.g. a sector: the rest of the page stays as the peer has it. The page must never have had a place in
     * the cache ({@link PageCodec#FLAG_PASSING}).
     *
     * @param from address of the part's content, or 0 for zeros
     * @param start offset in the page
     * @param length less than a page
     */
    public void describePart(long sequence, int block, int page, long from, int start, int length) {
        describe(sequence, SlotKind.PAGE, block, page, PageCodec.FLAG_ENCODED);
        PageSlot slot = ring.get(sequence);
        slot.encoding = Encoding.DELTA;
        // SAFETY: the slot is ours until it is published; the caller holds length bytes at from.
        slot.payloadBytes = PageDelta.part(address(sequence), from, start, length);
    }

    /** The slot holds a page at the boundary, whose hash EpochEnd carries; at most the configured number of an epoch. */
    public void describeScrub(long sequence, int block, int page) {
        describe(sequence, SlotKind.SCRUB, block, page, 0);
    }

    /** The slot holds a page at the boundary, whose hash VerifyHashes carries; the last one of all ends the verification. */
    public void describeVerify(long sequence, int block, int page, boolean last) {
        describe(sequence, SlotKind.VERIFY, block, page, last ? 1 : 0);
    }

    /** Takes back what a claimed slot was described as: it is passed over. */
    public void withdraw(long sequence) {
        describe(sequence, SlotKind.NONE, 0, 0, 0);
    }

    private void describe(long sequence, SlotKind kind, int block, int page, int flags) {
        if (sequence <= publishedTo || sequence > claimedTo) {
            throw new IllegalArgumentException(
                    "sequence " + sequence + " not claimed: " + (publishedTo + 1) + ".." + claimedTo + " are");
        }
        PageSlot slot = ring.get(sequence);
        slot.kind = kind;
        slot.block = block;
        slot.page = page;
        slot.flags = flags;
        if ((flags & PageCodec.FLAG_MAY_REFER) != 0) {
            slot.unlooked();
        }
    }

    /** Hands slots over, in the order of claiming; those not described are passed over. */
    public void publish(long first, long last) {
        if (first != publishedTo + 1 || last > claimedTo || last < first) {
            throw new IllegalArgumentException(
                    "published " + first + ".." + last + " not a beginning of " + (publishedTo + 1) + ".." + claimedTo);
        }
        ring.publish(first, last);
        publishedTo = last;
    }

    /** Passes over whatever is claimed and not published: its source went away while it was filled, and they would come up with the next publication. */
    public void abandonClaimed() {
        if (publishedTo < claimedTo) {
            for (long sequence = publishedTo + 1; sequence <= claimedTo; sequence++) {
                ring.get(sequence).kind = SlotKind.NONE;
            }
            publish(publishedTo + 1, claimedTo);
        }
    }

    /** While quiet, the guest is stopped, and the capture needs the cores: publishing wakes no encoder, and all of them rest. Ends with false. */
    public void quiet(boolean quiet) {
        control.ring.quiet(quiet);
    }

    /** Starts an epoch, or starts it again: then the cache is cleared, because the peer drops what came of it before. */
    public void epochBegin(long epoch, EpochKind kind, long wallMs) throws PipelineException {
        awaitFree(1, config.claimTimeoutMs());
        int index = (int) (endsPublished & fields.length - 1);
        EpochFields fields = this.fields[index];
        fields.epoch = epoch;
        fields.kind = kind;
        fields.wallMs = wallMs;
        control(SlotKind.EPOCH_BEGIN, index);
    }

    /** Where the epoch's device state goes before {@link #epochEnd}; the same buffer until then. */
    public UnsafeBuffer deviceState() {
        return nextFields().deviceState;
    }

    /** The memory of {@link #deviceState()}. */
    public ByteBuffer deviceStateBytes() {
        return nextFields().deviceStateBytes;
    }

    /**
     * Ends the epoch: everything published since its beginning belongs to it.
     *
     * @param wallMs when the VM ran again
     * @param deviceStateLength bytes in {@link #deviceState()}; 0 in a SYNC epoch
     */
    public void epochEnd(
            long epoch, EpochKind kind, RunState runState, long wallMs, long pauseNs, int deviceStateLength)
            throws PipelineException {
        awaitFree(1, config.claimTimeoutMs());
        if (deviceStateLength < 0 || deviceStateLength > config.deviceStateBytesMax()) {
            throw new IllegalArgumentException(
                    "device state of " + deviceStateLength + " bytes not in 0.." + config.deviceStateBytesMax());
        }
        int index = (int) (endsPublished & fields.length - 1);
        EpochFields fields = this.fields[index];
        fields.epoch = epoch;
        fields.kind = kind;
        fields.runState = runState;
        fields.wallMs = wallMs;
        fields.pauseNs = pauseNs;
        fields.deviceStateLength = deviceStateLength;
        endsPublished++;
        control(SlotKind.EPOCH_END, index);
    }

    /** Sends a whole message (SBE header and body, at most 4096 bytes) after everything published before it. */
    public void message(DirectBuffer message, int offset, int length) throws PipelineException {
        if (length < 1 || length > SLOT_BYTES) {
            throw new IllegalArgumentException("message of " + length + " bytes not in 1.." + SLOT_BYTES);
        }
        long sequence = claim(1);
        arena.putBytes(offset(sequence), message, offset, length);
        describe(sequence, SlotKind.MESSAGE, 0, 0, length);
        publish(sequence, sequence);
    }

    private EpochFields nextFields() {
        if (freeEpochs() < 1) {
            throw new IllegalStateException("no free epoch: awaitFree comes before the stop");
        }
        return fields[(int) (endsPublished & fields.length - 1)];
    }

    private void control(SlotKind kind, int index) throws PipelineException {
        long sequence = claim(1);
        PageSlot slot = ring.get(sequence);
        slot.kind = kind;
        slot.fields = index;
        publish(sequence, sequence);
    }

    /** Whether everything published has left the ring. */
    public boolean isDrained() {
        return ring.getMinimumGatingSequence() >= publishedTo;
    }

    /**
     * Waits until everything published has been sent.
     *
     * @throws PipelineException {@code pipeline-full} after the timeout, or as {@link #awaitFree}
     */
    public void awaitDrained(long timeoutMs) throws PipelineException {
        abandonClaimed();
        awaitFree(config.ringSlots(), timeoutMs);
    }

    /**
     * Starts a session: ends the one before, waits until the ring is empty, forgets what was sent.
     *
     * @param references whether pages with {@link PageCodec#FLAG_MAY_REFER} come, and the peer understands {@link Encoding#REFERENCE}; costs a
     *     checksum of each page that is sent whole
     * @throws PipelineException {@code pipeline-stuck} if the old session does not let go within the timeout
     */
    public void attach(FrameChannel channel, boolean references, long timeoutMs) throws PipelineException {
        detach(timeoutMs);
        for (EncodeHandler encoder : encoders) {
            encoder.reset(references);
        }
        sealer.reset();
        // The handlers see the reset: they read the cursor, which the next publication writes after it.
        control.run(channel);
    }

    /** Ends the session: closes its channel, passes over what was not sent, and waits until the ring is empty. */
    public void detach(long timeoutMs) throws PipelineException {
        requireOpen();
        FrameChannel left = control.leave(PipelineState.DETACHED);
        if (left != null) {
            left.close();
        }
        abandonClaimed();
        control.ring.quiet(false);
        long deadlineNs = clock.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        control.await(Thread.currentThread(), publishedTo);
        try {
            while (!isDrained() || sealer.endsSealed() != endsPublished) {
                long leftNs = deadlineNs - clock.nanoTime();
                if (leftNs <= 0) {
                    throw new PipelineException(
                            "pipeline-stuck",
                            "slots in the ring " + (config.ringSlots() - freeSlots()) + " > 0 after " + timeoutMs
                                    + " ms: the old session does not let go");
                }
                LockSupport.parkNanos(this, Math.min(leftNs, RECHECK_NS));
            }
        } finally {
            control.awaited();
        }
    }

    /** Who is told, by any thread, when the stream of a session has failed. */
    public void onFailure(Runnable listener) {
        control.onFailure(listener);
    }

    /** Fails the session from outside, e.g. because the receiver saw the connection end; any thread. */
    public void abort(Throwable cause) {
        control.fail(cause);
    }

    private void requireOpen() throws PipelineException {
        if (control.state() == PipelineState.CLOSED) {
            throw new PipelineException("pipeline-detached", "the pipeline is closed");
        }
    }

    private void requireRunning() throws PipelineException {
        switch (control.state()) {
            case RUNNING -> {}
            case FAILED -> {
                Throwable cause = control.cause();
                if (cause == null) {
                    throw new PipelineException("pipeline-failed", "the stream failed");
                }
                throw new PipelineException("pipeline-failed", "the stream failed: " + cause.getMessage(), cause);
            }
            case DETACHED -> throw new PipelineException("pipeline-detached", "the pipeline has no session");
            case CLOSED -> throw new PipelineException("pipeline-detached", "the pipeline is closed");
        }
    }

    /** Closes the channel, ends the threads, and gives the memory back; the capture thread, which uses nothing of it afterwards. */
    @Override
    public void close() {
        FrameChannel left = control.leave(PipelineState.CLOSED);
        if (left != null) {
            left.close();
        }
        abandonClaimed();
        control.ring.quiet(false);
        long deadlineNs = clock.nanoTime() + CLOSE_NS;
        while (!isDrained() && clock.nanoTime() < deadlineNs) {
            LockSupport.parkNanos(this, RECHECK_NS);
        }
        disruptor.halt();
        free(deadlineNs);
    }

    /** Gives the large memory back at once, not when a collector comes by: a VM protected again takes as much. */
    private void free(long deadlineNs) {
        try {
            for (Thread worker : workers) {
                worker.join(Math.max(1, (deadlineNs - clock.nanoTime()) / 1_000_000));
                if (worker.isAlive()) {
                    return;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        // SAFETY: the workers have ended, and the capture thread, which this is, uses no slot after close().
        memory.free();
        for (PageCache cache : caches) {
            cache.free();
        }
        for (EpochFields field : fields) {
            field.free();
        }
    }

    private final class FailStream implements ExceptionHandler<PageSlot> {
        @Override
        public void handleEventException(Throwable cause, long sequence, PageSlot slot) {
            control.fail(cause);
        }

        @Override
        public void handleOnStartException(Throwable cause) {
            control.fail(cause);
        }

        @Override
        public void handleOnShutdownException(Throwable cause) {
            control.fail(cause);
        }
    }
}
