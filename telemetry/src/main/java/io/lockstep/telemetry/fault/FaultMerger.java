package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Tally;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Merges what different sources tell of the same fault. Invariants:
 *
 * <ul>
 *   <li>A fault is counted as often as the source that saw it most often says, and no more.
 *   <li>An event that calls for action at once is handed on in the call that brought it.
 *   <li>Corrected errors of the same place are summed and handed on within {@link #HOLD_MS} and the next {@link #drain}, however many come.
 *   <li>A fault whose part is better known than when it was told is told again, with what was told before: its errors are one part's.
 * </ul>
 *
 * <p>For one thread. Memory is bounded: {@link #FAULTS_MAX} faults of some hundred bytes.
 */
public final class FaultMerger {
    /** How long corrected errors wait for what other sources know of them. */
    public static final long HOLD_MS = 500;

    /** Sources tell of one fault within this: the kernel hands a machine check on at once, EDAC and the firmware's log follow. */
    public static final long SAME_MS = 5_000;

    /** Counters are read every five seconds; twice that, and what was told meanwhile is surely in them. */
    static final long COUNTED_MS = 12_000;

    /** Faults that are open at one time; the oldest is handed on when there are more. */
    static final int FAULTS_MAX = 4096;

    private static final int PAGE_SHIFT = 12;

    private static final String EDAC = "edac-counters";
    private static final String AER = "aer-counters";
    private static final String POISONED = "poisoned-memory";

    /** Sources that only count what others tell in detail. */
    private static final Set<String> COUNTERS = Set.of(EDAC, AER, POISONED);

    /** Sources that tell of every memory error, each with what it knows of the place. */
    private static final Set<String> DETAILED = Set.of("mce", "edac", "ghes", "extlog");

    /** Memory faults without an address that are compared with what other sources tell; a host has few, a module for each. */
    private static final int NOWHERE_MAX = 64;

    private final Map<Object, Fault> faults = new LinkedHashMap<>();

    /** Those of them that are about memory and without an address, by the newest last. */
    private final Map<Object, Fault> nowhere = new LinkedHashMap<>();

    private final Map<ToldPlace, Told> told = new LinkedHashMap<>();
    private final Deque<Reading> readings = new ArrayDeque<>();
    private final UnaryOperator<Component> identity;
    private final FaultSink sink;

    /** A fault whose address nobody told: its place and kind stand for it. */
    private record Place(Component component, EventKind kind, boolean lost) {}

    /** Errors of one page; what was lost there is another fault than what was repaired before. */
    private record Page(long number, boolean lost) {}

    private static final class Fault {
        HardwareEvent best;
        final Map<String, Long> counts = new LinkedHashMap<>(4);
        long firstMs;
        long lastMs;
        long handed;

        /** As it was told, by the name of the part that the host knew then. */
        @Nullable
        Earlier earlier;

        /** Where, for the counters: as the sources named it. */
        @Nullable
        ToldPlace place;

        /** Another source named its part better since then. */
        boolean renamed;

        Fault(HardwareEvent event, long nowMs) {
            best = event;
            firstMs = nowMs;
        }

        long count() {
            long most = 0;
            for (long count : counts.values()) {
                most = Math.max(most, count);
            }
            return most;
        }

        /** Hands errors that a source has not told of to another fault, with what was told of them. */
        void give(long given, String asker, Fault to) {
            counts.replaceAll((source, count) -> {
                long part = source.equals(asker) ? 0 : Math.min(given, count);
                to.counts.merge(source, part, Long::sum);
                return count - part;
            });
            long told = Math.max(0, handed - count());
            handed -= told;
            to.handed += told;
            Earlier before = earlier;
            if (told > 0 && before != null) {
                to.earlier = before.part(told);
                earlier = before.without(told);
            }
        }
    }

    /** Where something was told: a counter of what was lost is not answered by what was repaired. */
    private record ToldPlace(Component component, boolean lost) {}

    /** A counter's growth, which waits: the kernel counts first and tells then, and in between lies what it prints. */
    private record Reading(HardwareEvent event, long atMs) {}

    /** What was told of a place. Each counter shows all of it once more, so that each has its own remainder. */
    private static final class Told {
        long count;
        final Map<String, Long> shown = new LinkedHashMap<>(2);
        long lastMs;

        long left(String counter) {
            return count - shown.getOrDefault(counter, 0L);
        }

        /** Hands some to another place, first those that a counter has not shown. */
        void give(long given, Told to) {
            shown.replaceAll((counter, before) -> {
                long both = Math.max(0, given - (count - before));
                to.shown.merge(counter, both, Long::sum);
                return before - both;
            });
            count -= given;
            to.count += given;
            to.lastMs = Math.max(to.lastMs, lastMs);
        }
    }

    /**
     * Hands faults on.
     *
     * @param identity names a part as well as the host knows it
     * @param sink gets each fault, in the caller's thread
     */
    public FaultMerger(UnaryOperator<Component> identity, FaultSink sink) {
        this.identity = identity;
        this.sink = sink;
    }

    /**
     * Takes an event of a source.
     *
     * @param nowMs the clock, milliseconds; never goes back
     */
    public void offer(HardwareEvent event, long nowMs) {
        if (event.kind() == EventKind.GUEST_MEMORY) {
            counted(event, nowMs);
            return;
        }
        if (COUNTERS.contains(event.source())) {
            readings.addLast(new Reading(event, nowMs));
            if (readings.size() > FAULTS_MAX) {
                counted(readings.removeFirst().event(), nowMs);
            }
            return;
        }
        Object key = event.address() == HardwareEvent.NO_ADDRESS
                        || (!event.kind().memory() && event.kind() != EventKind.FIRMWARE)
                ? new Place(event.component(), event.kind(), event.severity().uncorrected())
                : new Page(event.address() >>> PAGE_SHIFT, event.severity().uncorrected());
        Fault fault = find(key, event, nowMs);
        boolean isNew = fault == null;
        if (fault == null) {
            fault = new Fault(event, nowMs);
            faults.put(key, fault);
            follow(key, fault);
        }
        fault.lastMs = nowMs;
        fault.counts.merge(event.source(), event.count(), Long::sum);
        HardwareEvent before = fault.best;
        fault.best = isNew ? event : better(before, event);
        boolean nearer = !fault.best.component().equals(before.component());
        fault.renamed |= !coarse(fault.best.component()).equals(coarse(before.component()));
        if (fault.best.immediate()) {
            boolean counts = fault.count() > fault.handed;
            if (counts) {
                hand(fault, nowMs);
            } else if (!isNew && (worse(before, event) || nearer)) {
                hand(fault, fault.best.times(1), true, nowMs);
            }
        }
        if (faults.size() > FAULTS_MAX) {
            Map.Entry<Object, Fault> oldest = faults.entrySet().iterator().next();
            hand(oldest.getValue(), nowMs);
            remove(oldest.getKey());
        }
    }

    /** The fault that an event tells of: by its own name, or by another under which a source without an address told of it; null if none did. */
    private @Nullable Fault find(Object key, HardwareEvent event, long nowMs) {
        Fault own = faults.get(key);
        if (own != null && nowMs - own.lastMs > SAME_MS) {
            hand(own, nowMs);
            remove(key);
            own = null;
        }
        Map.Entry<Object, Fault> other = elsewhere(event, key, nowMs);
        if (other == null) {
            return own;
        }
        Fault whole = other.getValue();
        if (!(key instanceof Page)) {
            return own == null ? whole : own;
        }
        // An address tells this error from the next one: it is taken out of what was told without.
        if (own == null) {
            own = new Fault(whole.best, nowMs);
            own.place = whole.place;
            faults.put(key, own);
        } else if (whole.handed > 0) {
            return own;
        }
        whole.give(event.count(), event.source(), own);
        if (whole.count() == 0) {
            remove(other.getKey());
        }
        return own;
    }

    /** A fault without an address that other sources told of, and that this event of one more source may be. */
    private Map.@Nullable Entry<Object, Fault> elsewhere(HardwareEvent event, Object key, long nowMs) {
        if (nowhere.isEmpty()
                || !DETAILED.contains(event.source())
                || !event.kind().memory()) {
            return null;
        }
        for (Map.Entry<Object, Fault> entry : nowhere.entrySet()) {
            Fault fault = entry.getValue();
            boolean open = nowMs - fault.lastMs <= SAME_MS
                    && !entry.getKey().equals(key)
                    && fault.count() > fault.counts.getOrDefault(event.source(), 0L)
                    && fault.best.severity().uncorrected() == event.severity().uncorrected();
            if (open
                    && fault.best.component() instanceof Component.Memory told
                    && event.component() instanceof Component.Memory memory
                    && told.meets(memory)) {
                return entry;
            }
        }
        return null;
    }

    private void follow(Object key, Fault fault) {
        if (key instanceof Place && fault.best.kind().memory() && DETAILED.contains(fault.best.source())) {
            nowhere.put(key, fault);
            if (nowhere.size() > NOWHERE_MAX) {
                nowhere.remove(nowhere.keySet().iterator().next());
            }
        }
    }

    private void remove(Object key) {
        faults.remove(key);
        nowhere.remove(key);
    }

    /** Hands on what has waited long enough; to be called some times a second. */
    public void drain(long nowMs) {
        for (Iterator<Map.Entry<Object, Fault>> all = faults.entrySet().iterator(); all.hasNext(); ) {
            Map.Entry<Object, Fault> entry = all.next();
            Fault fault = entry.getValue();
            if (nowMs - fault.firstMs >= HOLD_MS) {
                hand(fault, nowMs);
                fault.firstMs = nowMs;
            }
            if (nowMs - fault.lastMs > SAME_MS) {
                all.remove();
                nowhere.remove(entry.getKey());
            }
        }
        while (!readings.isEmpty() && nowMs - readings.getFirst().atMs() >= HOLD_MS) {
            counted(readings.removeFirst().event(), nowMs);
        }
        told.values().removeIf(t -> nowMs - t.lastMs > COUNTED_MS);
    }

    /** Hands on everything: no more will come. */
    public void end(long nowMs) {
        faults.values().forEach(fault -> hand(fault, nowMs));
        readings.forEach(reading -> counted(reading.event(), nowMs));
        readings.clear();
        faults.clear();
        nowhere.clear();
    }

    /** What was told within {@link #COUNTED_MS} and not every counter that counts it has shown yet; at most {@link #FAULTS_MAX}. */
    public List<Tally> tallies(long nowMs) {
        List<Tally> tallies = new ArrayList<>();
        told.forEach((place, tally) -> {
            if (nowMs - tally.lastMs <= COUNTED_MS && counters(place).anyMatch(counter -> tally.left(counter) > 0)) {
                tallies.add(new Tally(place.component(), place.lost(), tally.count, tally.shown));
            }
        });
        return tallies;
    }

    /** Which counters count what happens at a place. */
    private static Stream<String> counters(ToldPlace place) {
        boolean memory =
                place.component() instanceof Component.Memory || place.component() instanceof Component.PhysicalAddress;
        if (!memory) {
            return Stream.of(AER);
        }
        return place.lost() ? Stream.of(EDAC, POISONED) : Stream.of(EDAC);
    }

    /** Takes up what an earlier life told: counters that are read now have grown by it. */
    public void restore(List<Tally> tallies, long nowMs) {
        for (Tally kept : tallies) {
            ToldPlace place = new ToldPlace(kept.component(), kept.lost());
            tell(place, kept.count(), nowMs);
            Told tally = told.get(place);
            if (tally != null) {
                kept.shown().forEach((counter, count) -> tally.shown.merge(counter, count, Long::sum));
            }
        }
    }

    private void hand(Fault fault, long nowMs) {
        long count = fault.count();
        if (count > fault.handed) {
            HardwareEvent event = fault.best.times(count - fault.handed);
            fault.handed = count;
            hand(fault, event, false, nowMs);
        } else if (fault.renamed) {
            hand(fault, fault.best.times(1), true, nowMs);
        }
    }

    private void hand(Fault fault, HardwareEvent event, boolean refined, long nowMs) {
        ToldPlace place =
                new ToldPlace(coarse(event.component()), event.severity().uncorrected());
        ToldPlace before = fault.place;
        if (before != null && !before.equals(place)) {
            rename(before, place, refined ? fault.handed : fault.handed - event.count());
        }
        fault.place = place;
        if (!refined) {
            tell(place, event.count(), nowMs);
        }
        HardwareEvent known = event.on(identity.apply(event.component()));
        Earlier earlier = fault.earlier;
        fault.earlier = earlier == null ? Earlier.of(known) : earlier.then(known, refined);
        fault.renamed = false;
        sink.fault(known, refined, earlier);
    }

    private void rename(ToldPlace before, ToldPlace place, long count) {
        Told old = told.get(before);
        long given = old == null ? 0 : Math.min(count, old.count);
        if (old == null || given == 0 || (told.size() >= FAULTS_MAX && !told.containsKey(place))) {
            return;
        }
        old.give(given, told.computeIfAbsent(place, p -> new Told()));
        if (old.count == 0) {
            told.remove(before);
        }
    }

    private void tell(ToldPlace place, long count, long nowMs) {
        if (told.size() < FAULTS_MAX || told.containsKey(place)) {
            Told tally = told.computeIfAbsent(place, p -> new Told());
            tally.count += count;
            tally.lastMs = nowMs;
        }
    }

    /** Of a counter: what was told of that place already is not told again. */
    private void counted(HardwareEvent event, long nowMs) {
        faults.values().forEach(fault -> hand(fault, nowMs));
        long left = event.count();
        boolean lost = event.severity().uncorrected();
        boolean open = false;
        Map<ToldPlace, Long> answered = new LinkedHashMap<>();
        for (Map.Entry<ToldPlace, Told> entry : told.entrySet()) {
            Told tally = entry.getValue();
            boolean recent = nowMs - tally.lastMs <= COUNTED_MS;
            ToldPlace place = entry.getKey();
            if (recent && place.lost() == lost && same(place.component(), event.component())) {
                long known = Math.min(left, tally.left(event.source()));
                tally.shown.merge(event.source(), known, Long::sum);
                left -= known;
                if (known > 0) {
                    answered.put(place, known);
                } else {
                    open |= place.component() instanceof Component.PhysicalAddress;
                }
            }
        }
        if (left > 0) {
            // The other counters will show it, too.
            ToldPlace place = new ToldPlace(coarse(event.component()), lost);
            tell(place, left, nowMs);
            Told tally = told.get(place);
            if (tally != null) {
                tally.shown.merge(event.source(), left, Long::sum);
            }
            sink.fault(event.times(left).on(identity.apply(event.component())), false, null);
        }
        if (event.kind() == EventKind.GUEST_MEMORY) {
            if (left == 0) {
                // The kernel told of the page before; QEMU knows that it was used.
                Component part =
                        identity.apply(answered.keySet().iterator().next().component());
                HardwareEvent used = event.times(1).on(part);
                sink.fault(used, true, new Earlier(used, 0, 0));
            }
        } else {
            name(event, answered, open);
        }
        if (event.raw() instanceof Raw.Counter counter) {
            sink.settled(counter);
        }
    }

    /**
     * A counter is a module's: it names what was told of memory of which nobody knew the module.
     *
     * @param answered what of the counter's growth was told before, by place
     * @param open whether other pages were told of, too: which one is meant nobody knows then
     */
    private void name(HardwareEvent event, Map<ToldPlace, Long> answered, boolean open) {
        if (!(event.component() instanceof Component.Memory memory) || memory.equals(Component.Memory.ANYWHERE)) {
            return;
        }
        Component part = identity.apply(memory);
        answered.forEach((place, count) -> {
            long address = place.component() instanceof Component.PhysicalAddress page
                    ? page.address()
                    : HardwareEvent.NO_ADDRESS;
            boolean nowhere = place.component().equals(Component.Memory.ANYWHERE);
            if (nowhere || (address != HardwareEvent.NO_ADDRESS && memory.oneModule() && !open)) {
                HardwareEvent before = event.near(address).times(count).on(identity.apply(place.component()));
                rename(place, new ToldPlace(coarse(memory), place.lost()), count);
                sink.fault(before.times(1).on(part), true, Earlier.of(before));
            }
        });
    }

    private static Component coarse(Component component) {
        return component instanceof Component.Memory memory ? memory.module() : component;
    }

    private static boolean same(Component told, Component counted) {
        if (counted instanceof Component.Memory memory) {
            return told instanceof Component.PhysicalAddress
                    || (told instanceof Component.Memory other && memory.mayBe(other));
        }
        return told.equals(counted);
    }

    private static boolean worse(HardwareEvent before, HardwareEvent after) {
        return after.severity().compareTo(before.severity()) > 0
                || (after.kind().immediate() && !before.kind().immediate());
    }

    /** Of two descriptions of one fault: the worse grade, the more telling kind, and all that both know of the place. */
    private static HardwareEvent better(HardwareEvent one, HardwareEvent other) {
        HardwareEvent telling = telling(other) > telling(one) ? other : one;
        HardwareEvent graver = other.severity().compareTo(one.severity()) > 0 ? other : one;
        Component component = nearer(one.component(), other.component(), telling.component());
        return new HardwareEvent(
                one.wallMs(),
                telling.kind(),
                graver.severity(),
                component,
                telling.address() == HardwareEvent.NO_ADDRESS
                        ? Math.max(one.address(), other.address())
                        : telling.address(),
                1,
                telling.source(),
                telling.what(),
                telling.raw());
    }

    /** Of two names of one part all that both know; where they contradict each other, that which says more. */
    private static Component nearer(Component one, Component other, Component telling) {
        if (one instanceof Component.Memory first && other instanceof Component.Memory second) {
            if (first.mayBe(second)) {
                return first.filledFrom(second);
            }
            if (first.module().mayBe(second.module())) {
                return telling.equals(first) ? first.filledFrom(second.module()) : second.filledFrom(first.module());
            }
            return first.known() == second.known() ? telling : first.known() > second.known() ? first : second;
        }
        if (one instanceof Component.Memory named) {
            return named.equals(Component.Memory.ANYWHERE) ? other : named;
        }
        if (other instanceof Component.Memory named) {
            return named.equals(Component.Memory.ANYWHERE) ? one : named;
        }
        return telling;
    }

    private static int telling(HardwareEvent event) {
        if (event.kind().immediate()) {
            return 4;
        }
        return switch (event.kind()) {
            case FIRMWARE, UNKNOWN -> 0;
            case PAGE_FAILED -> 1;
            case MEMORY_ERROR -> 2;
            default -> 3;
        };
    }
}
