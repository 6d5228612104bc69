package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.OpenFault;
import io.lockstep.telemetry.event.Tally;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Merges what different sources tell of the same fault. Invariants:
 *
 * <ul>
 *   <li>A fault is counted as often as the source that saw it most often says, and no more.
 *   <li>An event that calls for action at once is handed on in the call that brought it.
 *   <li>Corrected errors of the same place are summed and handed on within {@link #HOLD_MS} and the next {@link #drain}, however many come.
 *   <li>A fault whose part is better known than when it was told is told again, with what was told before: its errors are one part's.
 *   <li>{@link #open} and {@link #tallies} say all that a merger after this one needs to go on where it ends, between any two calls, if no more
 *       than {@link #OPEN_MAX} faults are open.
 *   <li>Of a fault that an agent before left open tells only what happened at its time, and what happened at another leaves it open.
 * </ul>
 *
 * <p>For one thread. Memory is bounded: {@link #FAULTS_MAX} faults of some hundred bytes.
 */
public final class FaultMerger {
    /** How long corrected errors wait for what other sources know of them. */
    public static final long HOLD_MS = 500;

    /** Sources tell of one fault within this: the kernel hands a machine check on at once, EDAC and the firmware's log follow. */
    public static final long SAME_MS = 5_000;

    /** Faults that are open at one time; the oldest is handed on when there are more. */
    static final int FAULTS_MAX = 4096;

    /** Of them, those that outlive the agent. Each has three events of 300 to 1000 bytes, in all at most 512 × 3 kB = 1.5 MB. */
    static final int OPEN_MAX = 512;

    /** Faults of one place that agents before this one left open, each of another agent that lived less than {@link #SAME_MS}. */
    private static final int BEFORE_MAX = 4;

    /** Sources that tell of every memory error, each with what it knows of the place. */
    private static final Set<String> DETAILED = Set.of("mce", "edac", "ghes", "extlog");

    /** Memory faults without an address that are compared with what other sources tell; a host has few, a module for each. */
    private static final int NOWHERE_MAX = 64;

    private static final Comparator<Fault> FIRST_KEPT = Comparator.<Fault, Boolean>comparing(
                    fault -> !fault.best.immediate())
            .thenComparing(
                    Comparator.<Fault>comparingLong(fault -> fault.lastMs).reversed());

    private final Map<FaultKey, Fault> faults = new LinkedHashMap<>();

    /** Those of them that are about memory and without an address, by the newest last. */
    private final Map<FaultKey, Fault> nowhere = new LinkedHashMap<>();

    /** Whether some of them may have been left open by an agent before. */
    private boolean leftOpen;

    private final ToldPlaces told = new ToldPlaces();
    private final CounterReadings readings;
    private final UnaryOperator<Component> identity;
    private final FaultSink sink;

    /**
     * Hands faults on.
     *
     * @param identity names a part as well as the host knows it
     * @param sink gets each fault, in the caller's thread
     */
    public FaultMerger(UnaryOperator<Component> identity, FaultSink sink) {
        this.identity = identity;
        this.sink = sink;
        readings = new CounterReadings(told, identity, sink);
    }

    /**
     * Takes an event of a source.
     *
     * @param nowMs the clock, milliseconds; never goes back
     */
    public void offer(HardwareEvent event, long nowMs) {
        if (event.kind() == EventKind.GUEST_MEMORY) {
            counted(event, nowMs);
        } else if (CounterReadings.counts(event)) {
            readings.add(event, nowMs);
            counted(nowMs);
        } else {
            merge(event, nowMs);
        }
    }

    private void merge(HardwareEvent event, long nowMs) {
        FaultKey key = FaultKey.of(event);
        Fault fault = find(key, event, nowMs);
        boolean isNew = fault == null;
        if (fault == null) {
            fault = new Fault(event, event, nowMs);
            keep(key, fault);
        }
        HardwareEvent before = fault.best;
        fault.add(event, nowMs);
        if (fault.best.immediate()) {
            boolean nearer = !fault.best.component().equals(before.component());
            if (fault.count() > fault.handed) {
                hand(fault, nowMs);
            } else if (!isNew && (Description.worse(before, event) || nearer)) {
                hand(fault, fault.best.times(1), true, nowMs);
            }
        }
        if (faults.size() > FAULTS_MAX) {
            Map.Entry<FaultKey, Fault> oldest = faults.entrySet().iterator().next();
            hand(oldest.getValue(), nowMs);
            remove(oldest.getKey());
        }
    }

    /** The fault that an event tells of: by its own name, or by another under which a source without an address told of it; null if none did. */
    private @Nullable Fault find(FaultKey key, HardwareEvent event, long nowMs) {
        FaultKey name = leftOpen ? nameBefore(key, event, nowMs) : key;
        Fault own = faults.get(name);
        if (own != null && !own.open(event, nowMs)) {
            hand(own, nowMs);
            remove(name);
            own = null;
        }
        Map.Entry<FaultKey, Fault> other = elsewhere(event, name, nowMs);
        if (other == null) {
            return own;
        }
        Fault whole = other.getValue();
        if (!(key instanceof FaultKey.Page)) {
            return own == null ? whole : own;
        }
        // An address tells this error from the next one: it is taken out of what was told without.
        if (own == null) {
            own = new Fault(event, whole.best, nowMs);
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

    /** The name of the fault left open by an agent before that is nearest in time to an event; the event's own if it can tell of none of them. */
    private FaultKey nameBefore(FaultKey key, HardwareEvent event, long nowMs) {
        FaultKey name = key;
        long nearestMs = Long.MAX_VALUE;
        for (int i = 0; i < BEFORE_MAX; i++) {
            FaultKey kept = new FaultKey.Before(key, i);
            Fault fault = faults.get(kept);
            if (fault != null && fault.open(event, nowMs) && fault.awayMs(event) < nearestMs) {
                name = kept;
                nearestMs = fault.awayMs(event);
            }
        }
        return name;
    }

    /** A fault without an address that other sources told of, and that this event of one more source may be. */
    private Map.@Nullable Entry<FaultKey, Fault> elsewhere(HardwareEvent event, FaultKey key, long nowMs) {
        if (nowhere.isEmpty()
                || !DETAILED.contains(event.source())
                || !event.kind().memory()) {
            return null;
        }
        for (Map.Entry<FaultKey, Fault> entry : nowhere.entrySet()) {
            Fault fault = entry.getValue();
            boolean open = fault.open(event, nowMs)
                    && !entry.getKey().equals(key)
                    && fault.best.kind() == event.kind()
                    && fault.count() > fault.count(event.source())
                    && fault.best.severity().uncorrected() == event.severity().uncorrected();
            if (open
                    && fault.best.component() instanceof Component.Memory known
                    && event.component() instanceof Component.Memory memory
                    && known.meets(memory)) {
                return entry;
            }
        }
        return null;
    }

    private void keep(FaultKey key, Fault fault) {
        faults.put(key, fault);
        HardwareEvent first = fault.first;
        if (first.address() == HardwareEvent.NO_ADDRESS && first.kind().memory() && DETAILED.contains(first.source())) {
            nowhere.put(key, fault);
            if (nowhere.size() > NOWHERE_MAX) {
                nowhere.remove(nowhere.keySet().iterator().next());
            }
        }
    }

    private void remove(FaultKey key) {
        faults.remove(key);
        nowhere.remove(key);
    }

    /** Hands on what has waited long enough; to be called some times a second. */
    public void drain(long nowMs) {
        leftOpen = false;
        for (Iterator<Map.Entry<FaultKey, Fault>> all = faults.entrySet().iterator(); all.hasNext(); ) {
            Map.Entry<FaultKey, Fault> entry = all.next();
            Fault fault = entry.getValue();
            if (nowMs - fault.firstMs >= HOLD_MS) {
                hand(fault, nowMs);
                fault.firstMs = nowMs;
            }
            if (nowMs - fault.lastMs > SAME_MS) {
                all.remove();
                nowhere.remove(entry.getKey());
            } else {
                leftOpen |= entry.getKey() instanceof FaultKey.Before;
            }
        }
        counted(nowMs);
        told.forget(nowMs);
    }

    /**
     * Hands on every fault that waits; more may come, to this merger or to one that takes up what it leaves open. Counters' readings wait on: what they
     * count may not have been told yet, and whoever comes next reads them again.
     */
    public void flush(long nowMs) {
        faults.values().forEach(fault -> hand(fault, nowMs));
    }

    /** Hands on everything: no more will come of any fault. */
    public void end(long nowMs) {
        flush(nowMs);
        for (HardwareEvent growth = readings.next(); growth != null; growth = readings.next()) {
            counted(growth, nowMs);
        }
        faults.clear();
        nowhere.clear();
    }

    /** Errors that were told shortly before and that not every counter has shown yet; at most {@link #FAULTS_MAX}. */
    public List<Tally> tallies(long nowMs) {
        return told.tallies(nowMs);
    }

    /**
     * Faults of which other sources may tell still, the one longest ago first; at most {@link #OPEN_MAX}: those that call for action, then the newest
     * of the others.
     */
    public List<OpenFault> open(long nowMs) {
        return faults.values().stream()
                .filter(fault -> nowMs - fault.lastMs <= SAME_MS)
                .sorted(FIRST_KEPT)
                .limit(OPEN_MAX)
                .sorted(Comparator.comparingLong(fault -> fault.lastMs))
                .map(Fault::kept)
                .toList();
    }

    /** Takes up what an earlier life told: counters that are read now have grown by it, and what it left open may be told of by others. */
    public void restore(List<Tally> tallies, List<OpenFault> open, long nowMs) {
        told.restore(tallies, nowMs);
        for (OpenFault kept : open) {
            FaultKey key = FaultKey.of(kept.first());
            int number = 0;
            while (number < BEFORE_MAX - 1 && faults.containsKey(new FaultKey.Before(key, number))) {
                number++;
            }
            keep(new FaultKey.Before(key, number), Fault.restored(kept, nowMs));
            leftOpen = true;
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
        ToldPlace place = new ToldPlace(
                ToldPlace.coarse(event.component()), event.severity().uncorrected());
        ToldPlace before = fault.place;
        if (before != null && !before.equals(place)) {
            told.move(before, place, refined ? fault.handed : fault.handed - event.count());
        }
        fault.place = place;
        if (!refined) {
            told.tell(place, event.count(), nowMs);
        }
        HardwareEvent known = event.on(identity.apply(event.component()));
        Earlier earlier = fault.earlier;
        fault.earlier = earlier == null ? Earlier.of(known) : earlier.then(known, refined);
        fault.renamed = false;
        sink.fault(known, refined, earlier);
    }

    /** Takes the counters' readings that have waited long enough. */
    private void counted(long nowMs) {
        for (HardwareEvent growth = readings.due(nowMs); growth != null; growth = readings.due(nowMs)) {
            counted(growth, nowMs);
        }
    }

    private void counted(HardwareEvent growth, long nowMs) {
        faults.values().forEach(fault -> hand(fault, nowMs));
        readings.take(growth, nowMs);
    }
}
