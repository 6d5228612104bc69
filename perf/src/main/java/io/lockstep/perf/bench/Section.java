package io.lockstep.perf.bench;

/** A part of the bench that can be run alone. */
interface Section {
    /** As {@code --only} takes it. */
    String name();

    /** Whether {@code --quick} has it. */
    default boolean quick() {
        return true;
    }

    /** Measures, and adds to the report. */
    void run(BenchContext context, BenchReport report) throws Exception;
}
