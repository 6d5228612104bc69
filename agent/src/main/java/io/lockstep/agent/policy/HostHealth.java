package io.lockstep.agent.policy;

import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How this host fares, as its peers and its policy know it: as the worst part of its hardware. What a guest does to itself does not count: it would
 * do it elsewhere, too. Written by the threads that watch the hardware; any thread reads.
 */
public final class HostHealth {
    private volatile boolean watched;
    private volatile @Nullable ComponentHealth worst;

    /** @param parts every part to which something happened, worst first */
    public void update(List<ComponentHealth> parts) {
        ComponentHealth first = null;
        for (ComponentHealth part : parts) {
            if (!(part.component() instanceof Component.Guest) && part.state() != HealthState.HEALTHY) {
                first = part;
                break;
            }
        }
        worst = first;
        watched = true;
    }

    /** The part that fares worst; null if all are healthy. */
    public @Nullable ComponentHealth worst() {
        return worst;
    }

    /** How the host fares. */
    public HealthState state() {
        ComponentHealth part = worst;
        return part == null ? HealthState.HEALTHY : part.state();
    }

    /** What peers are told, as in {@link ReportedHealth}: not known before the hardware is watched. */
    public int code() {
        return watched ? state().code() : ReportedHealth.UNKNOWN;
    }

    /** What a peer said, as it is shown: a state, or {@code unknown}. */
    public static String words(int code) {
        for (HealthState state : HealthState.values()) {
            if (state.code() == code) {
                return state.words();
            }
        }
        return "unknown";
    }
}
