package io.lockstep.perf.bench;

/** A part of the bench that can be run alone. */
interface Section {
    /** As {@code --only} takes it. */
    String name();

    /** Whether {@code --quick} has it. */
    default boolean quick() {
        return true;
    }

    /**
     * Tables that it needs in the configuration of the shared agents; none by default.
     *
     * @param onPeer of the peer's
     */
    default String configuration(boolean onPeer) {
        return "";
    }

    /** Measures, and adds to the report. */
    void run(BenchContext context, BenchReport report) throws Exception;
}
