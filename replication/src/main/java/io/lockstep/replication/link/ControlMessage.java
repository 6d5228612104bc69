package io.lockstep.replication.link;

import java.util.List;

/** The rare, small messages of a session. Immutable. What each means stands in the schema, {@code replication-stream.xml}. */
public sealed interface ControlMessage {
    /** Most pages that one message names. */
    int PAGES_MAX = 4096;

    /**
     * A page of guest memory.
     *
     * @param block index of its RAM block, 0 to 65535
     * @param page index within the block
     */
    record Page(int block, long page) {}

    /** QEMU is gone on the primary's host: promote at once. */
    record VmDied(long committedEpoch, String reason) implements ControlMessage {}

    /** The VM runs on unprotected: never promote without force. */
    record Released(boolean discard, String reason) implements ControlMessage {}

    /** The agent stops in order and comes back. */
    record Goodbye(String reason) implements ControlMessage {}

    /** What a verification of all pages found. */
    record VerifyResult(long epoch, long pagesCompared, long pagesDiffering, List<Page> differing)
            implements ControlMessage {
        public VerifyResult {
            differing = List.copyOf(differing);
        }
    }

    /** Pages whose hash differed: send them again. */
    record ScrubMismatch(long epoch, List<Page> differing) implements ControlMessage {
        public ScrubMismatch {
            differing = List.copyOf(differing);
        }
    }

    /** Load this committed epoch and hold it. */
    record SwitchoverPrepare(long epoch) implements ControlMessage {}

    /** Loaded and held, or why not. */
    record SwitchoverReady(long epoch, boolean ready, String cause) implements ControlMessage {}

    /** The primary's QEMU is gone: run. */
    record SwitchoverCommit(long epoch) implements ControlMessage {}

    /** The VM runs on at the primary: throw the loaded standby away. */
    record SwitchoverAbort(long epoch, String reason) implements ControlMessage {}

    /** The guest runs on the peer. */
    record Promoted(long epoch, long tookNs) implements ControlMessage {}

    /**
     * How drills of the replica went.
     *
     * @param wallMs when the last one ended, milliseconds since 1970; 0: never
     * @param state one of the constants here
     * @param cause of a failure, and what is overdue; empty if all is well
     */
    record DrillReport(long wallMs, int state, String cause) implements ControlMessage {
        public static final int NONE = 0;
        public static final int PASSED = 1;
        public static final int FAILED = 2;
        public static final int OVERDUE = 3;

        /** Whether the VM's protection is less sure for it. */
        public boolean degrades() {
            return state >= FAILED;
        }
    }

    /** Last message before the sender closes the connection. */
    record LinkError(String code, String cause) implements ControlMessage {}
}
