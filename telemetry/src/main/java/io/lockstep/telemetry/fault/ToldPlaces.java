package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Tally;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * How many errors were told of each place, and how many of them each counter has shown: each shows all of them once more. For one thread.
 * Memory is bounded: {@link FaultMerger#FAULTS_MAX} places.
 */
final class ToldPlaces {
    /** Counters are read every five seconds; twice that, and what was told meanwhile is surely in them. */
    static final long COUNTED_MS = 12_000;

    static final String EDAC = "edac-counters";
    static final String AER = "aer-counters";
    static final String POISONED = "poisoned-memory";

    private final Map<ToldPlace, Told> places = new LinkedHashMap<>();

    /**
     * What of a counter's growth was told before.
     *
     * @param places how many errors of which place
     * @param left errors that nobody told
     * @param open whether a page was told of that the counter does not show
     */
    record Answer(Map<ToldPlace, Long> places, long left, boolean open) {}

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

    /** Errors were told of a place. */
    void tell(ToldPlace place, long count, long nowMs) {
        if (places.size() < FaultMerger.FAULTS_MAX || places.containsKey(place)) {
            Told told = places.computeIfAbsent(place, p -> new Told());
            told.count += count;
            told.lastMs = nowMs;
        }
    }

    /** As {@link #tell}, of errors that a counter shows: the other counters will show them, too. */
    void tellShown(ToldPlace place, String counter, long count, long nowMs) {
        tell(place, count, nowMs);
        Told told = places.get(place);
        if (told != null) {
            told.shown.merge(counter, count, Long::sum);
        }
    }

    /** Some of what was told of a place happened at another one. */
    void move(ToldPlace from, ToldPlace to, long count) {
        Told old = places.get(from);
        long given = old == null ? 0 : Math.min(count, old.count);
        if (old == null || given == 0 || (places.size() >= FaultMerger.FAULTS_MAX && !places.containsKey(to))) {
            return;
        }
        old.give(given, places.computeIfAbsent(to, p -> new Told()));
        if (old.count == 0) {
            places.remove(from);
        }
    }

    /** A counter has grown: what of it was told, which is shown by it now. */
    Answer answer(HardwareEvent growth, long nowMs) {
        long left = growth.count();
        boolean lost = growth.severity().uncorrected();
        boolean open = false;
        Map<ToldPlace, Long> answered = new LinkedHashMap<>();
        for (Map.Entry<ToldPlace, Told> entry : places.entrySet()) {
            Told told = entry.getValue();
            ToldPlace place = entry.getKey();
            boolean recent = nowMs - told.lastMs <= COUNTED_MS;
            if (recent && place.lost() == lost && place.mayBe(growth.component())) {
                long known = Math.min(left, told.left(growth.source()));
                told.shown.merge(growth.source(), known, Long::sum);
                left -= known;
                if (known > 0) {
                    answered.put(place, known);
                } else {
                    open |= place.component() instanceof Component.PhysicalAddress;
                }
            }
        }
        return new Answer(answered, left, open);
    }

    /** Forgets what is surely in the counters. */
    void forget(long nowMs) {
        places.values().removeIf(told -> nowMs - told.lastMs > COUNTED_MS);
    }

    /** What was told within {@link #COUNTED_MS} and not every counter that counts it has shown yet. */
    List<Tally> tallies(long nowMs) {
        List<Tally> tallies = new ArrayList<>();
        places.forEach((place, told) -> {
            if (nowMs - told.lastMs <= COUNTED_MS && counters(place).anyMatch(counter -> told.left(counter) > 0)) {
                tallies.add(new Tally(place.component(), place.lost(), told.count, told.shown));
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
    void restore(List<Tally> tallies, long nowMs) {
        for (Tally kept : tallies) {
            ToldPlace place = new ToldPlace(kept.component(), kept.lost());
            tell(place, kept.count(), nowMs);
            Told told = places.get(place);
            if (told != null) {
                kept.shown().forEach((counter, count) -> told.shown.merge(counter, count, Long::sum));
            }
        }
    }
}
