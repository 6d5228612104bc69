package io.lockstep.agent.api;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the work of one listener to a share of one processor, however many clients ask: the VMs' pauses, and the collector that stops every thread
 * when enough was allocated, must not notice them. Any thread.
 *
 * <p>Leaky buckets of what requests cost ({@link Expense}). A request that comes when the bucket of all is full is told how long to wait; all that wait are served in
 * their order. A client that asks now and then does not wait behind those that hammer: the first request of a process, or of an address, and one after
 * a rest passes them, as long as all that pass together take a quarter of the share at most. How many connections it opens changes nothing.
 */
class Throttle {
    /** In how long what is done without delay after a rest leaks away. 1 s × a fifth of a processor = 0.2 s: a screen's worth of commands. */
    private static final long BURST_NS = 1_000_000_000L;

    /** Of the share, for those that pass. */
    private static final int PASSING_SHARE = 4;

    /** Who hammers asks again sooner after an answer. */
    private static final long REST_NS = 100_000_000L;

    /** No estimate is above this: one slow answer must not silence the API. */
    private static final long ESTIMATE_NS_MAX = 20_000_000L;

    /** Nobody waits longer: half of what a connection may be idle, so that waiting ends none. */
    private static final long WAIT_NS_MAX = 5_000_000_000L;

    /** Processes and addresses that are remembered: more than may be connected. */
    private static final int HOLDERS_MAX = 1024;

    private final Map<String, Holder> holders = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Holder> eldest) {
            return size() > HOLDERS_MAX;
        }
    };
    private final Bucket all;
    private final Bucket passing;
    private final LongSupplier overheadNs;
    private long estimateNs = 300_000L;

    /**
     * With empty buckets.
     *
     * @param share which part of one processor: one of so many
     * @param overheadNs what a request costs that its handler does not see, nanoseconds of a processor
     */
    Throttle(int share, LongSupplier overheadNs) {
        this.overheadNs = overheadNs;
        all = new Bucket(share);
        passing = new Bucket(PASSING_SHARE * share);
    }

    /** Processor time that leaks away at a share of one processor. */
    private static final class Bucket {
        private final int share;
        private long freeNs;
        private boolean begun;

        Bucket(int share) {
            this.share = share;
        }

        long waitNs(long nowNs) {
            if (!begun || freeNs - nowNs < 0) {
                begun = true;
                freeNs = nowNs;
            }
            return Math.min(WAIT_NS_MAX, Math.max(0, freeNs - nowNs - BURST_NS));
        }

        void take(long nowNs, long costNs) {
            freeNs = Math.min(freeNs + costNs * share, nowNs + WAIT_NS_MAX + BURST_NS);
        }

        void correct(long differenceNs) {
            freeNs += differenceNs * share;
        }
    }

    /** Whoever has connections; of one throttle, which guards it. */
    private static final class Holder {
        private boolean answered;
        private long answeredNs;
        private int underWay;

        private boolean rested(long nowNs) {
            return underWay == 0 && (!answered || nowNs - answeredNs >= REST_NS);
        }
    }

    /** One connection, whose requests come one after another. */
    static final class Client {
        private final Holder holder;
        private boolean passes;

        private Client(Holder holder) {
            this.holder = holder;
        }
    }

    /** @param holder whose connection it is, the same for all of them; null if nobody knows */
    synchronized Client client(@Nullable String holder) {
        return new Client(holder == null ? new Holder() : holders.computeIfAbsent(holder, name -> new Holder()));
    }

    /**
     * Books a request's work.
     *
     * @return how long it has to wait, nanoseconds; 0 if not at all
     */
    synchronized long book(long nowNs, Client client) {
        long waitNs = all.waitNs(nowNs);
        client.passes = waitNs > 0 && client.holder.rested(nowNs) && passing.waitNs(nowNs) == 0;
        client.holder.underWay++;
        all.take(nowNs, estimateNs);
        if (client.passes) {
            passing.take(nowNs, estimateNs);
            return 0;
        }
        return waitNs;
    }

    /** A request that was booked was answered, or is not any more, and its answer has cost so much, nanoseconds of a processor. */
    synchronized void done(long nowNs, long costNs, Client client) {
        client.holder.underWay--;
        client.holder.answered = true;
        client.holder.answeredNs = nowNs;
        long bounded = Math.min(ESTIMATE_NS_MAX, Math.max(0, costNs) + overheadNs.getAsLong());
        all.correct(bounded - estimateNs);
        if (client.passes) {
            passing.correct(bounded - estimateNs);
        }
        estimateNs += (bounded - estimateNs) / 8;
    }
}
