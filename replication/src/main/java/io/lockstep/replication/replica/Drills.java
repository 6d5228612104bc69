package io.lockstep.replication.replica;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.SessionHello;
import org.jspecify.annotations.Nullable;

/**
 * The drills of one replica.
 *
 * <p>Invariants. There is one at a time. It is in nobody's way: whatever needs the replica, or is about to close it, abandons the drill and waits
 * for nothing. There is none of a VM whose disks its primary writes to as well.
 *
 * <p>Under the replica's lock, but for the report.
 */
final class Drills {
    private final String vm;
    private final ReplicaConfig config;
    private final @Nullable DrillFactory factory;
    private final DutyCycle diskRounds = DutyCycle.idle();
    private @Nullable Drill running;
    private volatile DrillReport report = new DrillReport(0, DrillReport.NONE, "");

    /** @param factory null: there are no drills here */
    Drills(String vm, ReplicaConfig config, @Nullable DrillFactory factory) {
        this.vm = vm;
        this.config = config;
        this.factory = factory;
    }

    /**
     * The drill to run, without the lock; {@link #ended} follows.
     *
     * @param standing state and reason, for the refusal
     * @param standbyHeld whether a switchover has the standby
     * @throws LockstepException {@code drill-unavailable}, {@code drill-runs-already}, {@code drill-not-consistent}, {@code drill-shared-disk}
     */
    Drill begin(OpenReplica open, String standing, boolean standbyHeld) throws LockstepException {
        DrillFactory starts = factory;
        if (starts == null) {
            throw new LockstepException("drill-unavailable", "This host makes no drills.");
        }
        if (running != null) {
            throw new LockstepException(
                    "drill-runs-already", "A drill of " + vm + " runs already. Wait until it has ended.");
        }
        SessionHello hello = open.hello();
        if (hello == null || !open.isOpen() || !open.consistent() || standbyHeld) {
            throw new LockstepException(
                    "drill-not-consistent",
                    "Replica " + vm + " holds no state to resume (" + standing
                            + "). Try again when the VM is protected.");
        }
        if (!hello.sharedDisks().isEmpty()) {
            throw new LockstepException(
                    "drill-shared-disk",
                    "Both hosts see disks of " + vm + ", " + String.join(", ", hello.sharedDisks())
                            + ", and its primary writes to them: a second standby must not open them. Such a VM has no drills.");
        }
        Drill drill = new Drill(config, starts, hello, open.content(), open.applier(), open::consistent, diskRounds);
        running = drill;
        return drill;
    }

    void ended() {
        running = null;
    }

    /** Ends the one that runs soon. */
    void abandon() {
        Drill drill = running;
        if (drill != null) {
            drill.abandon();
        }
    }

    /** What the primary is told of drills here; any thread. */
    void report(DrillReport last) {
        report = last;
    }

    DrillReport report() {
        return report;
    }

    /** How long their disks take for what their QEMU asks; any thread. */
    DutyCycle diskRounds() {
        return diskRounds;
    }
}
