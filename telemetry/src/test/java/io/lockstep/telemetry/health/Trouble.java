package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;

/** What befalls hosts in tests. */
final class Trouble {
    static final long START = 1_700_000_000_000L;

    private Trouble() {}

    /** @param address of memory; 0: not known */
    static HardwareEvent event(EventKind kind, Severity severity, Component place, long address, long count) {
        return new HardwareEvent(START, kind, severity, place, address, count, "mce", "trouble", Raw.NONE);
    }

    /** How the only memory fares that an account is kept of. */
    static ComponentHealth onlyMemory(HealthBook book) {
        return book.all().stream()
                .filter(health -> health.component() instanceof Component.Memory)
                .findFirst()
                .orElseThrow();
    }
}
