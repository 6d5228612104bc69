package io.lockstep.agent.demo;

import java.util.List;

/**
 * Holds every tick that the guest printed against the recomputed chain.
 *
 * <p>Invariants: the ticks of one run of the guest follow each other without a gap; after a failover they go on from a committed point, which
 * is a tick already printed or the next one, never a later one; every state is the one that the chain gives.
 *
 * <p>When the VM is killed, one line may be torn: begun by one process and ended by the other. It proves nothing and may say anything, or be no
 * tick at all. Nothing hides behind it, because every later state depends on the same memory. Both processes may have been in the very same
 * line; then its number comes from neither, and the next one follows. Not thread-safe.
 */
final class ChainCheck {
    private static final long NO_SPLIT = Long.MAX_VALUE;

    private final HashChain chain;
    private long splitOffset = NO_SPLIT;
    private boolean cut;
    private boolean tornLineSeen;
    private boolean resumed;
    private int taken;
    private long rightEndOffset;
    private int last;
    private int before;
    private int after;
    private int repeated;

    ChainCheck(HashChain chain) {
        this.chain = chain;
    }

    /** The VM is about to be killed, and the serial log has this size: a line that ends beyond it may be the torn one. */
    void cutAt(long offset) {
        splitOffset = offset;
        cut = true;
    }

    /** Something else was killed when the serial log had this size: the ticks must go on as if nothing had happened, but are counted apart. */
    void splitAt(long offset) {
        splitOffset = offset;
    }

    /** Takes the next ticks, in order. Fails at the first one that is wrong. */
    void take(List<Tick> ticks) throws DemoFailure {
        for (Tick tick : ticks) {
            taken++;
            boolean past = tick.endOffset() > splitOffset;
            boolean resuming = past && cut && !resumed;
            if (!right(tick, resuming)) {
                if (resuming && !tornLineSeen) {
                    tornLineSeen = true;
                    continue;
                }
                throw new DemoFailure(wrong(tick));
            }
            rightEndOffset = tick.endOffset();
            if (tick.number() != last + 1) {
                // The one step, to the committed point: what the dying process still printed belongs to the time
                // before.
                resumed = true;
                repeated = Math.max(0, last + 1 - tick.number());
                before += after;
                after = 0;
            }
            last = tick.number();
            if (past) {
                after++;
            } else {
                before++;
            }
        }
    }

    private boolean right(Tick tick, boolean resuming) {
        int number = tick.number();
        boolean behindTornLine = tick.startOffset() > Math.max(rightEndOffset, splitOffset);
        int highest = last + (behindTornLine ? 2 : 1);
        boolean inOrder = number == last + 1 || (resuming && number >= 1 && number <= highest);
        return inOrder && tick.state() == chain.stateAfter(number);
    }

    private String wrong(Tick tick) {
        if (tick.number() != last + 1) {
            return "the guest's tick " + tick.number() + " follows tick " + last;
        }
        return String.format(
                "tick %d: the guest's state %016x != recomputed %016x",
                tick.number(), tick.state(), chain.stateAfter(tick.number()));
    }

    /** Ticks taken so far: the index of the next one in the serial log. */
    int taken() {
        return taken;
    }

    /** Ticks found right before the kill. */
    int before() {
        return before;
    }

    /** Ticks found right after the kill. */
    int after() {
        return after;
    }

    /** Number of the last tick found right. */
    int last() {
        return last;
    }

    /** Ticks that the guest printed before the kill and, from the committed point on, once more. */
    int repeated() {
        return repeated;
    }
}
