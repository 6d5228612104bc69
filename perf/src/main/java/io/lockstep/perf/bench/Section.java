package io.lockstep.perf.bench;

/** A part of the bench that can be run alone. */
interface Section {
    /** As {@code --only} takes it. */
    String name();

    /**
     * About how long it takes of a quick run on two cores, seconds; those who plan care for the ratio of two of these more than for one. 0: a quick run
     * has it only if it is asked for by name.
     */
    int quickSeconds();

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
