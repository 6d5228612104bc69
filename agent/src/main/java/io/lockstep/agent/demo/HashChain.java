package io.lockstep.agent.demo;

import java.util.Arrays;

/**
 * Recomputes the state that the demo's guests print, from the tick's number alone; the same algorithm as {@code agent/guests/chain.h}.
 *
 * <p>Invariants:
 *
 * <ul>
 *   <li>The state after tick N is a function of the options and N, and of nothing else.
 *   <li>A guest that continued from memory with a page lost, or older or newer than the rest, prints another state at the first tick that
 *       reads that page; the sweep reads every page once in {@link #sweepTicks()} ticks.
 * </ul>
 *
 * <p>Not thread-safe. Keeps the arena (as large as the guest's) and 8 bytes for every tick computed.
 */
public final class HashChain {
    private static final int PAGE_WORDS = 4096 / Long.BYTES;
    private static final long FIRST_STATE = 0x9E3779B97F4A7C15L;
    private static final long FILL_FACTOR = 0xD1342543DE82EF95L;
    /** 2^20 ticks at 100 a second are 2.9 hours and 8 MiB; a demo is shorter. */
    private static final int TICKS_MAX = 1 << 20;

    private final long[] arena;
    private final int pageCount;
    private final int pagesPerTick;
    private final int sweepPages;
    private long[] states = new long[4096];
    private int computed;
    private int sweepNext;

    /**
     * @param arenaMib size of the guest's arena in MiB (its option {@code mb}), 1 to 1024
     * @param pagesPerTick pages written in each tick (its option {@code pages}), at least 0
     * @param sweepPages pages read whole in each tick (its option {@code sweep}), at least 0
     */
    public HashChain(int arenaMib, int pagesPerTick, int sweepPages) {
        if (arenaMib < 1 || arenaMib > 1024 || pagesPerTick < 0 || sweepPages < 0) {
            throw new IllegalArgumentException(
                    "arena " + arenaMib + " MiB, " + pagesPerTick + " pages per tick, sweep " + sweepPages);
        }
        this.pageCount = arenaMib * 256;
        this.pagesPerTick = pagesPerTick;
        this.sweepPages = sweepPages;
        arena = new long[pageCount * PAGE_WORDS];
        for (int page = 0; page < pageCount; page++) {
            for (int word = 0; word < PAGE_WORDS; word++) {
                arena[page * PAGE_WORDS + word] = (page + 1) * FILL_FACTOR + word;
            }
        }
        states[0] = FIRST_STATE;
    }

    /** How many ticks it takes until every page of the arena has been read at least once; 0 without a sweep. */
    public int sweepTicks() {
        return sweepPages == 0 ? 0 : (pageCount + sweepPages - 1) / sweepPages;
    }

    /**
     * The guest's state after a tick.
     *
     * @param tick 1 to 2^20
     */
    public long stateAfter(int tick) {
        if (tick < 1 || tick > TICKS_MAX) {
            throw new IllegalArgumentException("tick " + tick + " is not in 1.." + TICKS_MAX);
        }
        while (computed < tick) {
            if (computed + 1 == states.length) {
                states = Arrays.copyOf(states, states.length * 2);
            }
            states[computed + 1] = next(states[computed], computed + 1);
            computed++;
        }
        return states[tick];
    }

    private long next(long state, long tick) {
        long s = state;
        for (int i = 0; i < pagesPerTick; i++) {
            s ^= s << 13;
            s ^= s >>> 7;
            s ^= s << 17;
            int page = Integer.remainderUnsigned((int) (s >>> 32), pageCount) * PAGE_WORDS;
            int word = page + ((int) s & (PAGE_WORDS - 1));
            s += Long.rotateLeft(arena[page], 21) ^ arena[word];
            arena[page] = s;
            arena[word] = s ^ tick;
        }
        for (int i = 0; i < sweepPages; i++) {
            int page = sweepNext * PAGE_WORDS;
            long sum = 0;
            for (int word = page; word < page + PAGE_WORDS; word++) {
                sum = Long.rotateLeft(sum, 5) + arena[word];
            }
            s ^= sum;
            sweepNext = sweepNext + 1 == pageCount ? 0 : sweepNext + 1;
        }
        return s;
    }
}
