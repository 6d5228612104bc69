package io.lockstep.replication.pipeline;

/** Learns of each epoch whose end was sent. */
@FunctionalInterface
public interface EpochListener {
    /** On the sealer's thread, after the flush; must not block. The counts are valid during the call. */
    void onEpochSent(EpochCounts counts);
}
