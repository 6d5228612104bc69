package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import java.util.ArrayList;
import java.util.List;

/** What a single part can bear, by the rules. Immutable. */
final class Limits {
    private final HealthRules rules;

    Limits(HealthRules rules) {
        this.rules = rules;
    }

    /** A sentence for each sum of corrected errors that a part has reached; may be added to. */
    List<String> sums(Account account, long nowMs) {
        List<String> all = new ArrayList<>();
        long slow = account.slow.sum(nowMs);
        if (slow >= limit(account.component)) {
            all.add(slow + " corrected errors in " + hours());
        }
        long fast = account.fast.sum(nowMs);
        if (fast >= rules.stormErrorsMax()) {
            all.add("a storm of " + fast + " corrected errors");
        }
        return all;
    }

    /** How badly a part fares to which one event of a kind happened, whatever else did. */
    static HealthState least(EventKind kind) {
        return switch (kind) {
            case MEMORY_SPARE, MEMORY_MAP_OUT, MIRROR_SECOND, LOGGING_LIMIT, CACHE_LIMIT, REDUNDANCY_DEGRADED ->
                HealthState.DEGRADING;
            case MIRROR_SCRUBBED, THERMAL, FAN, POWER_SUPPLY, NETWORK_LINK -> HealthState.WATCH;
            default -> HealthState.HEALTHY;
        };
    }

    private int limit(Component component) {
        if (component instanceof Component.Memory) {
            return rules.dimmErrorsMax();
        }
        return component instanceof Component.Cpu ? rules.cpuErrorsMax() : rules.deviceErrorsMax();
    }

    /** The window, as it stands in a sentence. */
    String hours() {
        return rules.windowMs() / 3_600_000 + " hours";
    }
}
