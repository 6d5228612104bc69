package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Counters that only count what others tell in detail: what was told already is not told again. A reading waits, because the kernel counts first and
 * tells then, and in between lies what it prints. For one thread.
 */
final class CounterReadings {
    private static final Set<String> COUNTERS = Set.of(ToldPlaces.EDAC, ToldPlaces.AER, ToldPlaces.POISONED);

    private final Deque<Reading> readings = new ArrayDeque<>();
    private final ToldPlaces told;
    private final UnaryOperator<Component> identity;
    private final FaultSink sink;

    private record Reading(HardwareEvent event, long atMs) {}

    /**
     * @param told what others told
     * @param identity names a part as well as the host knows it
     * @param sink gets what nobody told, and better names
     */
    CounterReadings(ToldPlaces told, UnaryOperator<Component> identity, FaultSink sink) {
        this.told = told;
        this.identity = identity;
        this.sink = sink;
    }

    /** Whether an event is a counter's growth. */
    static boolean counts(HardwareEvent event) {
        return COUNTERS.contains(event.source());
    }

    /** Lets a counter's growth wait. */
    void add(HardwareEvent growth, long nowMs) {
        readings.addLast(new Reading(growth, nowMs));
    }

    /** The next one that has waited long enough, or for which there is no room; null if there is none. It is removed. */
    @Nullable
    HardwareEvent due(long nowMs) {
        Reading first = readings.peekFirst();
        boolean due = first != null
                && (nowMs - first.atMs() >= FaultMerger.HOLD_MS || readings.size() > FaultMerger.FAULTS_MAX);
        return first == null || !due ? null : readings.removeFirst().event();
    }

    /** The next one, however long it has waited; null if there is none. It is removed. */
    @Nullable
    HardwareEvent next() {
        Reading first = readings.pollFirst();
        return first == null ? null : first.event();
    }

    /** Hands on what nobody told of a counter's growth. All that others told must have been handed on before. */
    void take(HardwareEvent growth, long nowMs) {
        ToldPlaces.Answer answer = told.answer(growth, nowMs);
        if (answer.left() > 0) {
            ToldPlace place = new ToldPlace(
                    ToldPlace.coarse(growth.component()), growth.severity().uncorrected());
            told.tellShown(place, growth.source(), answer.left(), nowMs);
            sink.fault(growth.times(answer.left()).on(identity.apply(growth.component())), false, null);
        }
        if (growth.kind() != EventKind.GUEST_MEMORY) {
            name(growth, answer);
        } else if (answer.left() == 0) {
            // The kernel told of the page before; QEMU knows that it was used.
            Map<ToldPlace, Long> places = answer.places();
            Component part = identity.apply(places.keySet().iterator().next().component());
            HardwareEvent used = growth.times(1).on(part);
            sink.fault(used, true, new Earlier(used, 0, 0));
        }
        if (growth.raw() instanceof Raw.Counter counter) {
            sink.settled(counter);
        }
    }

    /** A counter is a module's: it names what was told of memory of which nobody knew the module. */
    private void name(HardwareEvent growth, ToldPlaces.Answer answer) {
        if (!(growth.component() instanceof Component.Memory memory) || memory.equals(Component.Memory.ANYWHERE)) {
            return;
        }
        Component part = identity.apply(memory);
        answer.places().forEach((place, count) -> {
            long address = place.component() instanceof Component.PhysicalAddress page
                    ? page.address()
                    : HardwareEvent.NO_ADDRESS;
            boolean nowhere = place.component().equals(Component.Memory.ANYWHERE);
            // Where other pages were told of, too, nobody knows which one is meant.
            boolean one = address != HardwareEvent.NO_ADDRESS && memory.oneModule() && !answer.open();
            if (nowhere || one) {
                HardwareEvent before = growth.near(address).times(count).on(identity.apply(place.component()));
                told.move(place, new ToldPlace(ToldPlace.coarse(memory), place.lost()), count);
                sink.fault(before.times(1).on(part), true, Earlier.of(before));
            }
        });
    }
}
