package io.lockstep.replication.memory;

/**
 * Whether a tracker works here.
 *
 * @param name as {@link DirtyTracker#name()}
 * @param available whether it can be used
 * @param reason why not, with the cure; or what it costs
 */
public record TrackerProbe(String name, boolean available, String reason) {}
