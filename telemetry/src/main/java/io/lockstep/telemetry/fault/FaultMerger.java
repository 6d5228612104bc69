package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
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

/**
 * Merges what different sources tell of the same fault. Invariants:
 *
 * <ul>
 *   <li>A fault is counted as often as the source that saw it most often says, and no more.
 *   <li>An event that calls for action at once is handed on in the call that brought it.
 *   <li>Corrected errors of the same place are summed and handed on within {@link #HOLD_MS} and the next {@link #drain}, however many come.
 * </ul>
 *
 * <p>For one thread. Memory is bounded: {@link #FAULTS_MAX} faults of some hundred bytes.
 */
public final class FaultMerger {
    /** How long corrected errors wait for what other sources know of them. */
    public static final long HOLD_MS = 500;

    /** Sources tell of one fault within this: the kernel hands a machine check on at once, EDAC and the firmware's log follow. */
    static final long SAME_MS = 5_000;

    /** Counters are read every five seconds; twice that, and what was told meanwhile is surely in them. */
    static final long COUNTED_MS = 12_000;

    /** Faults that are open at one time; the oldest is handed on when there are more. */
    static final int FAULTS_MAX = 4096;

    private static final int PAGE_SHIFT = 12;

    private static final String EDAC = "edac-counters";
    private static final String AER = "aer-counters";

    /** Sources that only count what others tell in detail. */
    private static final Set<String> COUNTERS = Set.of(EDAC, AER, "poisoned-memory");

    private final Map<Object, Fault> faults = new LinkedHashMap<>();
    private final Map<ToldPlace, Told> told = new LinkedHashMap<>();
    private final Deque<Reading> readings = new ArrayDeque<>();
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
    }

    /** @param sink gets each fault, in the caller's thread */
    public FaultMerger(FaultSink sink) {
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
        Fault fault = faults.get(key);
        if (fault != null && nowMs - fault.lastMs > SAME_MS) {
            hand(fault, nowMs);
            faults.remove(key);
            fault = null;
        }
        boolean isNew = fault == null;
        if (fault == null) {
            fault = new Fault(event, nowMs);
            faults.put(key, fault);
        }
        fault.lastMs = nowMs;
        fault.counts.merge(event.source(), event.count(), Long::sum);
        HardwareEvent before = fault.best;
        fault.best = isNew ? event : better(before, event);
        if (fault.best.immediate()) {
            boolean counts = fault.count() > fault.handed;
            boolean nearer = !fault.best.component().equals(before.component());
            if (counts) {
                hand(fault, nowMs);
            } else if (!isNew && (worse(before, event) || nearer)) {
                sink.fault(fault.best.times(1), true);
            }
        }
        if (faults.size() > FAULTS_MAX) {
            Iterator<Fault> oldest = faults.values().iterator();
            hand(oldest.next(), nowMs);
            oldest.remove();
        }
    }

    /** Hands on what has waited long enough; to be called some times a second. */
    public void drain(long nowMs) {
        for (Iterator<Fault> all = faults.values().iterator(); all.hasNext(); ) {
            Fault fault = all.next();
            if (nowMs - fault.firstMs >= HOLD_MS) {
                hand(fault, nowMs);
                fault.firstMs = nowMs;
            }
            if (nowMs - fault.lastMs > SAME_MS) {
                all.remove();
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
    }

    /** What was told within {@link #COUNTED_MS} and neither EDAC's nor PCIe's counters have shown yet; at most {@link #FAULTS_MAX}. */
    public List<Tally> tallies(long nowMs) {
        List<Tally> tallies = new ArrayList<>();
        told.forEach((place, tally) -> {
            // No place is counted by both: of memory one is 0, of a device the other.
            long left = Math.min(tally.left(EDAC), tally.left(AER));
            if (left > 0 && nowMs - tally.lastMs <= COUNTED_MS) {
                tallies.add(new Tally(place.component(), place.lost(), left));
            }
        });
        return tallies;
    }

    /** Takes up what an earlier life told: counters that are read now have grown by it. */
    public void restore(List<Tally> tallies, long nowMs) {
        for (Tally kept : tallies) {
            tell(new ToldPlace(kept.component(), kept.lost()), kept.count(), nowMs);
        }
    }

    private void hand(Fault fault, long nowMs) {
        long count = fault.count();
        if (count <= fault.handed) {
            return;
        }
        HardwareEvent event = fault.best.times(count - fault.handed);
        fault.handed = count;
        tell(new ToldPlace(coarse(event.component()), event.severity().uncorrected()), event.count(), nowMs);
        sink.fault(event, false);
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
        boolean vague = false;
        for (Map.Entry<ToldPlace, Told> entry : told.entrySet()) {
            Told tally = entry.getValue();
            boolean recent = nowMs - tally.lastMs <= COUNTED_MS;
            ToldPlace place = entry.getKey();
            if (recent && left > 0 && place.lost() == lost && same(place.component(), event.component())) {
                long known = Math.min(left, tally.left(event.source()));
                tally.shown.merge(event.source(), known, Long::sum);
                left -= known;
                vague |= known > 0 && place.component().equals(Component.Memory.ANYWHERE);
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
            sink.fault(event.times(left), false);
        } else if (event.kind() == EventKind.GUEST_MEMORY
                || (lost && vague && !event.component().equals(Component.Memory.ANYWHERE))) {
            // The kernel told of the page before; QEMU knows whose it was, and EDAC in which module.
            sink.fault(event.times(1), true);
        }
        if (event.raw() instanceof Raw.Counter counter) {
            sink.settled(counter);
        }
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
        Component component = telling.component();
        if (one.component() instanceof Component.Memory first && other.component() instanceof Component.Memory second) {
            component = first.mayBe(second) ? first.filledFrom(second) : component;
        } else if (other.component() instanceof Component.Memory named && !named.equals(Component.Memory.ANYWHERE)) {
            component = named;
        } else if (one.component() instanceof Component.Memory named && !named.equals(Component.Memory.ANYWHERE)) {
            component = named;
        }
        return new HardwareEvent(
                one.wallMs(),
                telling.kind(),
                graver.severity(),
                component,
                telling.address(),
                1,
                telling.source(),
                telling.what(),
                telling.raw());
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
