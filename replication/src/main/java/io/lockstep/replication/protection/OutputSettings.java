package io.lockstep.replication.protection;

/**
 * What the operator decides of one VM's network output.
 *
 * @param held {@code lockstep}: output waits until the peer has the epoch that it belongs to; false, {@code async}: it does not
 * @param unheldAllowed whether a netdev whose output cannot be held is no reason to refuse the VM
 * @param minEpochMs least length of an epoch when output waits, 1 to 10,000
 * @param maxEpochMs length of an epoch without output, not below minEpochMs, to 60,000
 * @param maxPauseSharePercent most of the time that pauses may take, 1 to 100
 * @param logBytes room for held frames of each netdev, a power of two, 1 MiB to 1 GiB
 */
public record OutputSettings(
        boolean held, boolean unheldAllowed, int minEpochMs, int maxEpochMs, int maxPauseSharePercent, int logBytes) {
    public OutputSettings {
        if (minEpochMs < 1 || minEpochMs > maxEpochMs) {
            throw new IllegalArgumentException("minEpochMs " + minEpochMs + " is not in 1.." + maxEpochMs);
        }
        if (maxPauseSharePercent < 1 || maxPauseSharePercent > 100) {
            throw new IllegalArgumentException("maxPauseSharePercent " + maxPauseSharePercent + " is not in 1..100");
        }
    }

    /** The mode's name in all interfaces. */
    public String mode() {
        return held ? "lockstep" : "async";
    }
}
