package io.lockstep.perf.bench;

/** A part of the bench that can be run alone. */
interface Section {
    /** As {@code --only} takes it. */
    String name();

    /** Measures, and adds to the report. */
    void run(BenchContext context, BenchReport report) throws Exception;
}
