package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Patterns of corrected memory errors that precede uncorrected ones: in a page, a row, a bank. Bounded memory: what was touched longest ago is
 * forgotten first, which a storm over all of memory makes happen, and then the module's own count speaks. For one thread.
 */
final class Patterns {
    /** Pages, rows and banks that are followed, each; some 300 bytes a page, 700 a row and 400 a bank: 8192 × 1400 bytes = 11.5 MB. */
    static final int FOLLOWED_MAX = 8192;

    /** Of them, those that outlive the agent, the newest: 200 bytes each, in all half a megabyte. */
    static final int KEPT_MAX = 1024;

    private static final int PAGE_SHIFT = 12;

    private final HealthRules rules;
    private final Bounded<Long, Page> pages = new Bounded<>(FOLLOWED_MAX);
    private final Bounded<Component.Memory, Row> rows = new Bounded<>(FOLLOWED_MAX);
    private final Bounded<Component.Memory, Spread> banks = new Bounded<>(FOLLOWED_MAX);

    private static final class Page {
        Component part;
        final SlidingCount errors;

        Page(Component part, HealthRules rules) {
            this.part = part;
            errors = new SlidingCount(rules.windowMs());
        }
    }

    private static final class Row {
        final SlidingCount slow;
        final SlidingCount fast;
        Spread columns = new Spread();

        Row(HealthRules rules) {
            slow = new SlidingCount(rules.windowMs());
            fast = new SlidingCount(rules.fastWindowMs());
        }
    }

    Patterns(HealthRules rules) {
        this.rules = rules;
    }

    /** Follows corrected errors; of what is not memory, nothing. */
    void add(HardwareEvent event, long count, long nowMs) {
        if (count > 0 && inRow(event) && event.component() instanceof Component.Memory memory) {
            Row row = rows.computeIfAbsent(row(memory), p -> new Row(rules));
            row.slow.add(nowMs, count);
            row.fast.add(nowMs, count);
            if (memory.column() != Component.UNKNOWN) {
                row.columns.add(memory.column(), count, nowMs);
            }
            banks.computeIfAbsent(memory.bankOnly(), b -> new Spread()).add(memory.row(), count, nowMs);
        }
        if (count > 0 && inPage(event)) {
            Page page = pages.computeIfAbsent(page(event), p -> new Page(part(event.component()), rules));
            page.part = part(event.component());
            page.errors.add(nowMs, count);
        }
    }

    /** Follows at another place what was followed at one: it happened there. */
    void move(HardwareEvent from, HardwareEvent to, long count, long nowMs) {
        take(from, count, nowMs);
        add(to, count, nowMs);
    }

    private void take(HardwareEvent event, long count, long nowMs) {
        if (inRow(event) && event.component() instanceof Component.Memory memory) {
            Row row = rows.get(row(memory));
            Spread bank = banks.get(memory.bankOnly());
            if (row != null) {
                row.slow.take(nowMs, count);
                row.fast.take(nowMs, count);
                row.columns.take(memory.column(), count);
                if (row.slow.sum(nowMs) == 0) {
                    rows.remove(row(memory));
                }
            }
            if (bank != null) {
                bank.take(memory.row(), count);
                if (bank.empty()) {
                    banks.remove(memory.bankOnly());
                }
            }
        }
        Page page = inPage(event) ? pages.get(page(event)) : null;
        if (page != null) {
            page.errors.take(nowMs, count);
        }
    }

    /** Whether an event's page has had so many errors that it should be taken out of use. */
    boolean worn(HardwareEvent event, long nowMs) {
        Page page = inPage(event) ? pages.get(page(event)) : null;
        return page != null && page.errors.sum(nowMs) >= rules.pageErrorsMax();
    }

    /** A sentence for each pattern that an event's row and bank show now. */
    List<String> at(HardwareEvent event, long nowMs) {
        List<String> found = new ArrayList<>();
        if (inRow(event) && event.component() instanceof Component.Memory memory) {
            Component.Memory place = row(memory);
            Row row = rows.get(place);
            Spread bank = banks.get(memory.bankOnly());
            if (row != null) {
                row(place, row, nowMs, found);
            }
            if (bank != null) {
                bank(memory, bank, nowMs, found);
            }
        }
        return found;
    }

    /** A sentence for each pattern that any row or bank of a part shows now. */
    List<String> of(Component part, long nowMs) {
        List<String> found = new ArrayList<>();
        rows.forEach((place, row) -> {
            if (place.module().equals(part)) {
                row(place, row, nowMs, found);
            }
        });
        banks.forEach((place, bank) -> {
            if (place.module().equals(part)) {
                bank(place, bank, nowMs, found);
            }
        });
        return found;
    }

    /** Forgets what happened to some parts. */
    void clear(Predicate<Component> which) {
        rows.keySet().removeIf(place -> which.test(place.module()));
        banks.keySet().removeIf(place -> which.test(place.module()));
        pages.values().removeIf(page -> which.test(page.part));
    }

    private void row(Component.Memory place, Row row, long nowMs, List<String> found) {
        String name = "row 0x" + Integer.toHexString(place.row()) + " of bank " + place.bank();
        long fast = row.fast.sum(nowMs);
        long slow = row.slow.sum(nowMs);
        if (fast >= rules.fastRowErrorsMax()) {
            found.add(fast + " corrected errors in " + minutes() + " on " + name);
        } else if (slow >= rules.rowErrorsMax()) {
            found.add(slow + " corrected errors in a window on " + name);
        }
        int columns = row.columns.different(nowMs, rules.fastWindowMs());
        if (columns >= rules.fastSpreadMax()) {
            found.add("errors in " + columns + " columns of " + name + " in " + minutes());
        }
    }

    private void bank(Component.Memory place, Spread bank, long nowMs, List<String> found) {
        int different = bank.different(nowMs, rules.fastWindowMs());
        if (different >= rules.fastSpreadMax()) {
            found.add("errors in " + different + " rows of bank " + place.bank() + " in " + minutes());
        }
    }

    private static boolean inRow(HardwareEvent event) {
        return event.component() instanceof Component.Memory memory
                && memory.row() != Component.UNKNOWN
                && memory.bank() != Component.UNKNOWN;
    }

    private static boolean inPage(HardwareEvent event) {
        boolean memory =
                event.component() instanceof Component.Memory || event.component() instanceof Component.PhysicalAddress;
        return memory && event.address() != HardwareEvent.NO_ADDRESS;
    }

    private static Component.Memory row(Component.Memory memory) {
        return memory.place(memory.rank(), memory.bank(), memory.row(), Component.UNKNOWN);
    }

    private static long page(HardwareEvent event) {
        return event.address() >>> PAGE_SHIFT;
    }

    private static Component part(Component component) {
        return component instanceof Component.Memory memory ? memory.module() : component;
    }

    private String minutes() {
        return rules.fastWindowMs() / 60_000 + " minutes";
    }

    /** Writes the newest of each: u32 count, then each with its place, pages first, then rows, then banks. */
    void write(DataOutputStream out) throws IOException {
        for (Map.Entry<Long, Page> page : newest(pages, out)) {
            out.writeLong(page.getKey());
            ComponentCodec.write(page.getValue().part, out);
            page.getValue().errors.write(out);
        }
        for (Map.Entry<Component.Memory, Row> row : newest(rows, out)) {
            ComponentCodec.write(row.getKey(), out);
            row.getValue().slow.write(out);
            row.getValue().fast.write(out);
            row.getValue().columns.write(out);
        }
        for (Map.Entry<Component.Memory, Spread> bank : newest(banks, out)) {
            ComponentCodec.write(bank.getKey(), out);
            bank.getValue().write(out);
        }
    }

    private static <K, V> List<Map.Entry<K, V>> newest(Bounded<K, V> all, DataOutputStream out) throws IOException {
        List<Map.Entry<K, V>> newest =
                all.entrySet().stream().skip(Math.max(0, all.size() - KEPT_MAX)).toList();
        out.writeInt(newest.size());
        return newest;
    }

    /** Takes up what was written. */
    void read(DataInputStream in) throws IOException {
        for (int left = in.readInt(); left > 0; left--) {
            long number = in.readLong();
            Page page = new Page(ComponentCodec.read(in), rules);
            page.errors.read(in);
            pages.put(number, page);
        }
        for (int left = in.readInt(); left > 0; left--) {
            Component.Memory place = memory(in);
            Row row = new Row(rules);
            row.slow.read(in);
            row.fast.read(in);
            row.columns = Spread.read(in);
            rows.put(place, row);
        }
        for (int left = in.readInt(); left > 0; left--) {
            banks.put(memory(in), Spread.read(in));
        }
    }

    private static Component.Memory memory(DataInputStream in) throws IOException {
        if (ComponentCodec.read(in) instanceof Component.Memory memory) {
            return memory;
        }
        throw new IOException("a row or a bank is not of memory");
    }
}
