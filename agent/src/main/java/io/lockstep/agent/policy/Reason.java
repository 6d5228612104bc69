package io.lockstep.agent.policy;

import io.lockstep.telemetry.health.ComponentHealth;

/** Why something follows, in words. */
final class Reason {
    private Reason() {}

    /** The part, its state, and the newest evidence. */
    static String of(ComponentHealth part) {
        String state = part.component().words() + " is " + part.state().words();
        return part.evidence().isEmpty()
                ? state
                : state + ": " + part.evidence().get(part.evidence().size() - 1);
    }
}
