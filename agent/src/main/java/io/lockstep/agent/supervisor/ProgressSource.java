package io.lockstep.agent.supervisor;

/** A duty cycle that proves that it goes on. Any thread may ask. */
public interface ProgressSource {
    /** For the log, e.g. {@code capture web1}. */
    String name();

    /** {@link System#nanoTime()} of its last finished cycle. */
    long lastProgressNs();

    /** How old that may be before the cycle counts as stuck. */
    long progressTimeoutNs();
}
