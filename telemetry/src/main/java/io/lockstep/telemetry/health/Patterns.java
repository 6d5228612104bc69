package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Patterns of corrected memory errors that precede uncorrected ones: in a page, a row, a bank. Bounded memory: what was touched longest ago is
 * forgotten first, which a storm over all of memory makes happen, and then the module's own count speaks. For one thread.
 */
final class Patterns {
    /** Pages, rows and banks that are followed, each; about 300 bytes an entry, in all below 8 MiB. */
    static final int FOLLOWED_MAX = 8192;

    private static final int PAGE_SHIFT = 12;

    private final HealthRules rules;
    private final Bounded<Long, SlidingCount> pages = new Bounded<>(FOLLOWED_MAX);
    private final Bounded<Component.Memory, Row> rows = new Bounded<>(FOLLOWED_MAX);
    private final Bounded<Component.Memory, Spread> banks = new Bounded<>(FOLLOWED_MAX);

    private static final class Row {
        final SlidingCount slow;
        final SlidingCount fast;
        final Spread columns = new Spread();

        Row(HealthRules rules) {
            slow = new SlidingCount(rules.windowMs());
            fast = new SlidingCount(rules.fastWindowMs());
        }
    }

    /** The last few different numbers and when each was seen. */
    private static final class Spread {
        private static final int KEPT = 8;
        private final int[] numbers = new int[KEPT];
        private final long[] seenMs = new long[KEPT];
        private int used;

        int seen(int number, long nowMs, long windowMs) {
            int place = 0;
            while (place < used && numbers[place] != number) {
                place++;
            }
            if (place == used) {
                if (used < KEPT) {
                    used++;
                } else {
                    place = oldest();
                }
                numbers[place] = number;
            }
            seenMs[place] = nowMs;
            int different = 0;
            for (int i = 0; i < used; i++) {
                different += nowMs - seenMs[i] <= windowMs ? 1 : 0;
            }
            return different;
        }

        private int oldest() {
            int oldest = 0;
            for (int i = 1; i < KEPT; i++) {
                oldest = seenMs[i] < seenMs[oldest] ? i : oldest;
            }
            return oldest;
        }
    }

    Patterns(HealthRules rules) {
        this.rules = rules;
    }

    /**
     * Follows a corrected memory error.
     *
     * @param evidence gets a sentence for each pattern that it completes; null: nobody asks, it is only counted
     * @return whether its page has had so many that it should be taken out of use
     */
    boolean follow(HardwareEvent event, Component.Memory memory, long nowMs, @Nullable Consumer<String> evidence) {
        if (memory.row() != Component.UNKNOWN && memory.bank() != Component.UNKNOWN) {
            row(event, memory, nowMs, evidence);
        }
        if (event.address() == HardwareEvent.NO_ADDRESS) {
            return false;
        }
        SlidingCount page =
                pages.computeIfAbsent(event.address() >>> PAGE_SHIFT, p -> new SlidingCount(rules.windowMs()));
        page.add(nowMs, event.count());
        return page.sum(nowMs) >= rules.pageErrorsMax();
    }

    private void row(HardwareEvent event, Component.Memory memory, long nowMs, @Nullable Consumer<String> evidence) {
        Component.Memory place = memory.place(memory.rank(), memory.bank(), memory.row(), Component.UNKNOWN);
        Row row = rows.computeIfAbsent(place, p -> new Row(rules));
        row.slow.add(nowMs, event.count());
        row.fast.add(nowMs, event.count());
        int columns = memory.column() == Component.UNKNOWN
                ? 0
                : row.columns.seen(memory.column(), nowMs, rules.fastWindowMs());
        Spread bank = banks.computeIfAbsent(memory.bankOnly(), b -> new Spread());
        int different = bank.seen(memory.row(), nowMs, rules.fastWindowMs());
        if (evidence == null) {
            return;
        }
        String name = "row 0x" + Integer.toHexString(memory.row()) + " of bank " + memory.bank();
        long fast = row.fast.sum(nowMs);
        if (fast >= rules.fastRowErrorsMax()) {
            evidence.accept(fast + " corrected errors in " + minutes() + " on " + name);
        } else if (row.slow.sum(nowMs) >= rules.rowErrorsMax()) {
            evidence.accept(row.slow.sum(nowMs) + " corrected errors in a window on " + name);
        }
        if (columns >= rules.fastSpreadMax()) {
            evidence.accept("errors in " + columns + " columns of " + name + " in " + minutes());
        }
        if (different >= rules.fastSpreadMax()) {
            evidence.accept("errors in " + different + " rows of bank " + memory.bank() + " in " + minutes());
        }
    }

    private String minutes() {
        return rules.fastWindowMs() / 60_000 + " minutes";
    }
}
