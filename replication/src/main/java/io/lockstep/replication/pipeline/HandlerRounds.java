package io.lockstep.replication.pipeline;

import io.lockstep.replication.DutyCycle;
import org.agrona.concurrent.NanoClock;

/**
 * The rounds of a ring's consumer: from one report of its sequence to the next, while it has slots. It rests when it has none, and where the ring
 * makes it rest. The consumer's thread; {@link #cycle()} any.
 */
final class HandlerRounds {
    private final DutyCycle cycle = DutyCycle.idle();
    private final NanoClock clock;

    HandlerRounds(NanoClock clock) {
        this.clock = clock;
    }

    DutyCycle cycle() {
        return cycle;
    }

    /** There are slots. */
    void begin() {
        cycle.mark(clock.nanoTime());
    }

    /** It has reported its sequence. */
    void reported(boolean endOfBatch) {
        if (endOfBatch) {
            cycle.rest(clock.nanoTime());
        } else {
            cycle.mark(clock.nanoTime());
        }
    }

    /** It failed, and the batch with it. */
    void failed() {
        cycle.rest(clock.nanoTime());
    }

    /** Returns when the ring is not quiet any more. */
    void rest(RingWait ring, boolean endOfBatch) {
        if (!ring.isQuiet()) {
            return;
        }
        cycle.rest(clock.nanoTime());
        ring.rest();
        if (!endOfBatch) {
            cycle.mark(clock.nanoTime());
        }
    }
}
