package io.lockstep.replication.replica;

import io.lockstep.replication.link.ControlMessage.Page;
import java.util.List;

/** Learns what happens to the replicas of this host. Called on their threads; must return soon. */
public interface ReplicaListener {
    /** A replica's state changed. */
    default void stateChanged(String vm, ReplicaState from, ReplicaState to, String reason) {}

    /** The guest runs here now. */
    default void promoted(PromotedVm promoted) {}

    /** Pages of the replica were not the primary's; the primary sends them again. */
    default void scrubMismatch(String vm, long epoch, List<Page> differing) {}

    /** Something failed that the operator should know. */
    default void error(String vm, String code, String message) {}
}
