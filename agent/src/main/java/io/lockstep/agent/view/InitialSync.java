package io.lockstep.agent.view;

/**
 * The last full copy.
 *
 * @param bytesDone guest memory copied, in all passes
 * @param bytesTotal guest memory to copy, as known now
 * @param ms its duration, so far or in all
 * @param bytesPerSecond rate over the whole copy
 * @param remainingMs estimate; 0 when done, -1 when unknown
 * @param passes so far
 * @param complete whether a consistent epoch followed it
 */
public record InitialSync(
        long bytesDone,
        long bytesTotal,
        double ms,
        double bytesPerSecond,
        long remainingMs,
        int passes,
        boolean complete) {}
