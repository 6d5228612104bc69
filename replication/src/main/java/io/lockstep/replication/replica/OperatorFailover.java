package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.SessionHello;
import java.util.List;

/**
 * Whether the operator's word makes the replica the VM.
 *
 * <p>Invariants. Without force the fence says first that the other host cannot run the VM; by force the operator says it. Two QEMUs that write to
 * one disk destroy it: of a VM with a shared disk nothing is promoted without the fence, not even by force. A replica that is not consistent is no
 * VM to anybody.
 *
 * <p>No state of its own. {@link #check} is called under the replica's lock, {@link #fence} without it.
 */
final class OperatorFailover {
    private final String vm;
    private final OpenReplica open;
    private final CurrentState state;
    private final CurrentSession session;
    private final Fencing fencing;

    OperatorFailover(String vm, OpenReplica open, CurrentState state, CurrentSession session, Fencing fencing) {
        this.vm = vm;
        this.open = open;
        this.state = state;
        this.session = session;
        this.fencing = fencing;
    }

    /**
     * What stands against it before anything is fenced.
     *
     * @throws LockstepException {@code replica-not-consistent}, {@code replica-released}, {@code primary-alive}, {@code fence-missing}
     */
    void check(boolean force) throws LockstepException {
        open.requireConsistent();
        if (force) {
            return;
        }
        if (state.is(ReplicaState.RELEASED)) {
            throw new LockstepException(
                    "replica-released",
                    "The primary of " + vm + " runs it unprotected: " + state.reason()
                            + ". --force promotes all the same.");
        }
        if (session.open() && !state.is(ReplicaState.SILENT)) {
            throw new LockstepException(
                    "primary-alive",
                    "The primary of " + vm
                            + " is connected and runs it. Use `lockstep switchover` there, or --force here.");
        }
        if (!fencing.configured()) {
            throw new LockstepException(
                    "fence-missing",
                    "No fence command is configured: nothing says that the other host cannot run " + vm
                            + ". Configure one, or make sure of it and use --force.");
        }
    }

    /**
     * Fences the other host, unless the operator's word is enough.
     *
     * @throws LockstepException {@code shared-disk-not-fenced}, {@code fence-failed}
     */
    void fence(boolean force) throws LockstepException {
        SessionHello hello = open.hello();
        List<String> shared = hello == null ? List.of() : hello.sharedDisks();
        if (force && shared.isEmpty()) {
            return;
        }
        Fence.Outcome outcome = fencing.run();
        if (outcome.fenced()) {
            return;
        }
        if (force) {
            throw new LockstepException(
                    "shared-disk-not-fenced",
                    "VM " + vm + " is not promoted: " + outcome.detail() + ". Both hosts see its disks "
                            + String.join(", ", shared)
                            + ", and two QEMUs that write to them destroy them: not even --force goes on without the fence."
                            + " Mend the fence command.");
        }
        throw new LockstepException(
                "fence-failed",
                "VM " + vm + " is not promoted: " + outcome.detail() + ". Mend the fence command, or use --force.");
    }
}
