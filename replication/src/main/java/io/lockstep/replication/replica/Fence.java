package io.lockstep.replication.replica;

/** Makes sure that the primary's host cannot run the VM. */
@FunctionalInterface
public interface Fence {
    /**
     * What a fence command said.
     *
     * @param fenced whether the other host cannot run the VM any more
     * @param detail in words: exit code, last output, or why it could not run
     */
    record Outcome(boolean fenced, String detail) {}

    /** Runs within its time and returns; never throws. */
    Outcome fence(String vm);
}
