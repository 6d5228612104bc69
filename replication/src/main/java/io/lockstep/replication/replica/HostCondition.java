package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ReportedHealth;
import org.jspecify.annotations.Nullable;

/** How this host fares, as its replicas must know it. Any thread; must not wait. */
public interface HostCondition {
    /** Nothing is known, and nothing refused. */
    HostCondition UNKNOWN = new HostCondition() {};

    /** Of this host's hardware, as in {@link ReportedHealth}: told to every primary. */
    default int health() {
        return ReportedHealth.UNKNOWN;
    }

    /** Why this host should not take the first replica of a VM; null: it may. Replicas that are here already go on. */
    default @Nullable LockstepException refusal(String vm) {
        return null;
    }
}
