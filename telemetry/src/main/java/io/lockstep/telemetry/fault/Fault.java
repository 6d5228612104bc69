package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.OpenFault;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A fault of which more may be told: what its sources told so far, and what of that was handed on. For one thread. */
final class Fault {
    /** That began it; it has the name by which other events find it. */
    final HardwareEvent first;

    /** What all of them know of it. */
    HardwareEvent best;

    private final Map<String, Long> counts = new LinkedHashMap<>(4);

    /** Since when it waits to be handed on, on the merger's clock. */
    long firstMs;

    /** When a source last told of it, on the merger's clock. */
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

    /** Told to an agent that is gone: when it was told on this one's clock says nothing, so that the event's own time must. */
    private boolean restored;

    private long wallMs;

    Fault(HardwareEvent first, HardwareEvent best, long nowMs) {
        this.first = first;
        this.best = best;
        wallMs = first.wallMs();
        firstMs = nowMs;
        lastMs = nowMs;
    }

    /** As an agent before left it. */
    static Fault restored(OpenFault kept, long nowMs) {
        Fault fault = new Fault(kept.first(), kept.best(), nowMs);
        fault.counts.putAll(kept.counts());
        fault.handed = kept.handed();
        fault.earlier = kept.earlier();
        Component told = kept.place();
        fault.place = told == null
                ? null
                : new ToldPlace(told, kept.first().severity().uncorrected());
        fault.renamed = kept.renamed();
        fault.wallMs = kept.wallMs();
        fault.restored = true;
        return fault;
    }

    /** As it is kept for the next agent. */
    OpenFault kept() {
        return new OpenFault(
                first, best, counts, handed, earlier, place == null ? null : place.component(), renamed, wallMs);
    }

    /** Whether an event can tell of it. */
    boolean open(HardwareEvent event, long nowMs) {
        return nowMs - lastMs <= FaultMerger.SAME_MS && (!restored || awayMs(event) <= FaultMerger.SAME_MS);
    }

    /** How far an event is from it by the events' own clock. */
    long awayMs(HardwareEvent event) {
        return Math.abs(event.wallMs() - wallMs);
    }

    /** Takes what one more event tells. */
    void add(HardwareEvent event, long nowMs) {
        lastMs = nowMs;
        wallMs = Math.max(wallMs, event.wallMs());
        HardwareEvent before = best;
        best = counts.isEmpty() ? event : Description.better(before, event);
        counts.merge(teller(event), event.count(), Long::sum);
        renamed |= !ToldPlace.coarse(best.component()).equals(ToldPlace.coarse(before.component()));
    }

    /** Who met lost data tells of the error of which the memory's own bank tells, too: by one source, they are two. */
    private static String teller(HardwareEvent event) {
        return event.kind() == EventKind.POISON ? event.source() + "-poison" : event.source();
    }

    /** Errors, as the source says that saw most of them. */
    long count() {
        long most = 0;
        for (long count : counts.values()) {
            most = Math.max(most, count);
        }
        return most;
    }

    /** Errors of which a source told. */
    long count(String source) {
        return counts.getOrDefault(source, 0L);
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
