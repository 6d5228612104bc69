package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.Earlier;
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

    /** Faults, and not errors, for which it is failing. */
    int grave;

    /** Whether something happened that is in neither number. */
    boolean noticed;

    /** Whether some of what was told of it happened elsewhere: its state may be the others'. */
    boolean shared;

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
        worsen(next, nowMs);
        return worse;
    }

    /** Hands what was counted of a fault to the part to which it happened. */
    void give(Earlier fault, Account to, long nowMs) {
        long repaired = Math.min(fault.corrected(), corrected);
        long lost = Math.min(fault.uncorrected(), uncorrected);
        corrected -= repaired;
        uncorrected -= lost;
        to.corrected += repaired;
        to.uncorrected += lost;
        to.slow.add(nowMs, slow.take(nowMs, repaired));
        to.fast.add(nowMs, fast.take(nowMs, repaired));
        grave -= fault.event().immediate() && grave > 0 ? 1 : 0;
        evidence.remove(fault.event().line());
        shared |= !empty();
    }

    /** Whether nothing is left that happened to it. */
    boolean empty() {
        return corrected == 0 && uncorrected == 0 && grave == 0 && !noticed;
    }

    /** Becomes as bad, if it is not worse. */
    void worsen(HealthState other, long nowMs) {
        if (other.compareTo(state) > 0) {
            state = other;
            sinceMs = nowMs;
        }
    }

    /** Fares as its corrected errors say: what was graver happened to another part. */
    void settle(int correctedMax, long nowMs) {
        state = slow.sum(nowMs) >= correctedMax ? HealthState.DEGRADING : HealthState.WATCH;
        sinceMs = nowMs;
        action = "";
    }

    /** Makes it as one to which nothing happened. */
    void restore(long nowMs) {
        state = HealthState.HEALTHY;
        sinceMs = nowMs;
        grave = 0;
        evidence.clear();
        action = "";
    }

    ComponentHealth view() {
        return new ComponentHealth(component, state, sinceMs, lastMs, corrected, uncorrected, evidence, action);
    }
}
