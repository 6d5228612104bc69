package io.lockstep.agent;

/** Takes the progress of one long operation; calls come from the operation's thread, or its VM's capture thread, and return at once. */
@FunctionalInterface
public interface Progress {
    /**
     * @param phase lower case with dashes, e.g. {@code initial-copy}
     * @param done of {@code total}, in bytes
     * @param total 0 if unknown
     */
    void report(String phase, long done, long total);
}
