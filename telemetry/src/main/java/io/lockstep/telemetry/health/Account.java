package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import java.util.ArrayList;
import java.util.List;

/** What is kept of one part. For one thread. */
final class Account {
    static final int EVIDENCE_MAX = 8;

    Component component;
    HealthState state = HealthState.HEALTHY;
    long sinceMs;
    long lastMs;
    long corrected;
    long uncorrected;

    /** When the evidence was last written: a storm must not write it for each error. */
    long saidMs = Long.MIN_VALUE / 2;

    String action = "";
    final List<String> evidence = new ArrayList<>();
    final SlidingCount slow;
    final SlidingCount fast;

    Account(Component component, HealthRules rules) {
        this.component = component;
        slow = new SlidingCount(rules.windowMs());
        fast = new SlidingCount(rules.fastWindowMs());
    }

    /** Goes to a worse state for a reason; a better or equal one changes nothing but the evidence. */
    boolean worsen(HealthState next, long nowMs, String reason) {
        boolean worse = next.compareTo(state) > 0;
        // The same reason with other numbers replaces the older one: a storm leaves one sentence.
        String form = reason.replaceAll("[0-9]+", "#");
        evidence.removeIf(old -> old.replaceAll("[0-9]+", "#").equals(form));
        if (worse || evidence.size() < EVIDENCE_MAX || next == state) {
            evidence.add(reason);
        }
        if (evidence.size() > EVIDENCE_MAX) {
            evidence.remove(0);
        }
        if (worse) {
            state = next;
            sinceMs = nowMs;
        }
        return worse;
    }

    ComponentHealth view() {
        return new ComponentHealth(component, state, sinceMs, lastMs, corrected, uncorrected, evidence, action);
    }
}
