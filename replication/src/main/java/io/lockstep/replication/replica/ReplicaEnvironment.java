package io.lockstep.replication.replica;

import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What all replicas of a host share.
 *
 * @param standbys starts QEMU
 * @param drills starts the QEMUs of drills; null: there are none
 * @param fence null: nothing is promoted on silence
 * @param condition of this host
 * @param nowNs monotonic, as {@link System#nanoTime()}
 * @param wallMs milliseconds since 1970
 * @param boot this boot of the host
 */
record ReplicaEnvironment(
        ReplicaConfig config,
        StandbyFactory standbys,
        @Nullable DrillFactory drills,
        @Nullable Fence fence,
        ReplicaListener listener,
        HostCondition condition,
        LongSupplier nowNs,
        LongSupplier wallMs,
        ReplicaMarker.BootId boot) {}
