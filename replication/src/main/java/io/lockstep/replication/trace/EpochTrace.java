package io.lockstep.replication.trace;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Writes steps of epochs into a running recording. While there is none, a step costs a call of an empty method. Any thread. */
public final class EpochTrace {
    private static final Step PROBE = new Step();

    private EpochTrace() {}

    /** @param atNs when it was done, {@link System#nanoTime()}, which on Linux all JVMs of a host share */
    public static void done(EpochStage stage, long epoch, long atNs) {
        // Before the first recording the JVM has not filled this method in, and it says false.
        if (PROBE.isEnabled()) {
            Step step = new Step();
            step.stage = stage.name();
            step.epoch = epoch;
            step.atNs = atNs;
            step.commit();
        }
    }

    /** One step of one epoch; the thread says of which VM. */
    @Name("lockstep.EpochStep")
    @Label("Epoch step")
    @Description("When a step of an epoch was done")
    @Category("Lockstep")
    @Enabled(false)
    @StackTrace(false)
    @SuppressWarnings("UnusedVariable") // The recorder reads them.
    private static final class Step extends Event {
        @Label("Step")
        private String stage = "";

        @Label("Epoch")
        private long epoch;

        @Label("Done at, System.nanoTime")
        private long atNs;
    }
}
