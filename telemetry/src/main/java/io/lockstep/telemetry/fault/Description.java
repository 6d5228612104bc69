package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.HardwareEvent;

/** Makes one description of several of the same fault. */
final class Description {
    private Description() {}

    /** Of two descriptions of one fault: the worse grade, the more telling kind, and all that both know of the place. */
    static HardwareEvent better(HardwareEvent one, HardwareEvent other) {
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

    /** Whether the second one says that it is graver than the first one said. */
    static boolean worse(HardwareEvent before, HardwareEvent after) {
        return after.severity().compareTo(before.severity()) > 0
                || (after.kind().immediate() && !before.kind().immediate());
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
