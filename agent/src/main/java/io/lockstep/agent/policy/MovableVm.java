package io.lockstep.agent.policy;

import io.lockstep.replication.LockstepException;
import java.util.concurrent.CompletableFuture;

/** A protected VM that runs here, as the policy sees it. Every method tells how it is now; any thread. */
public interface MovableVm {
    /** Its name. */
    String name();

    /** Name of the peer that holds its replica. */
    String peer();

    /** Empty if it can be moved now, else what it waits for. */
    String obstacle();

    /** Whether its QEMU is still there: not once it was moved, or has died. What is not stays so. */
    boolean runsHere();

    /** How the peer's hardware fares, as in {@link io.lockstep.replication.link.ReportedHealth}. */
    int peerHealth();

    /**
     * Begins to move it to the peer; returns at once.
     *
     * @return completes once it runs there, or with the {@link LockstepException} that says why it stays here
     */
    CompletableFuture<?> move();
}
