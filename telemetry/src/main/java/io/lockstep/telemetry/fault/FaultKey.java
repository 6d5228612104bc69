package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;

/** What different sources' events of one fault have in common. Immutable. */
sealed interface FaultKey {
    int PAGE_SHIFT = 12;

    /** A fault whose address nobody told: its place and kind stand for it. */
    record Place(Component component, EventKind kind, boolean lost) implements FaultKey {}

    /** Errors of one page; what was lost there is another fault than what was repaired before. */
    record Page(long number, boolean lost) implements FaultKey {}

    /** One that agents before this one left open: several of one name, at different times. */
    record Before(FaultKey key, int number) implements FaultKey {}

    /** Of an event. */
    static FaultKey of(HardwareEvent event) {
        boolean lost = event.severity().uncorrected();
        boolean placed = event.address() != HardwareEvent.NO_ADDRESS
                && (event.kind().memory() || event.kind() == EventKind.FIRMWARE);
        return placed
                ? new Page(event.address() >>> PAGE_SHIFT, lost)
                : new Place(event.component(), event.kind(), lost);
    }
}
