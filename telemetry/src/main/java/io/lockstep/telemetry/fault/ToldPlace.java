package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;

/**
 * Where something was told, as coarsely as counters count. Immutable.
 *
 * @param lost whether data was lost: a counter of what was lost is not answered by what was repaired
 */
record ToldPlace(Component component, boolean lost) {
    /** The part that a counter counts for. */
    static Component coarse(Component component) {
        return component instanceof Component.Memory memory ? memory.module() : component;
    }

    /** Whether a counter of a part may count what was told here. */
    boolean mayBe(Component counted) {
        if (counted instanceof Component.Memory memory) {
            return component instanceof Component.PhysicalAddress
                    || (component instanceof Component.Memory other && memory.mayBe(other));
        }
        return component.equals(counted);
    }
}
