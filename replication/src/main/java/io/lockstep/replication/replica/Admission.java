package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import java.util.Objects;

/**
 * Decides what becomes of a Hello: it is refused, told that the VM runs here, or is the beginning of a session, with a full copy or without.
 *
 * <p>Invariants. Nothing is changed here. A VM that runs here gets no replica here, nor does another under its name. A replica is one primary's
 * until it is discarded. A session resumes only if the replica holds all that the primary was told it holds, and nothing that it did not send.
 *
 * <p>No state of its own; under the replica's lock.
 */
final class Admission {
    private final String vm;
    private final ReplicaStore store;
    private final OpenReplica open;
    private final Fencing fencing;
    private final HostCondition condition;
    private final AckLevel ackLevel;

    Admission(
            String vm,
            ReplicaStore store,
            OpenReplica open,
            Fencing fencing,
            HostCondition condition,
            AckLevel ackLevel) {
        this.vm = vm;
        this.store = store;
        this.open = open;
        this.fencing = fencing;
        this.condition = condition;
        this.ackLevel = ackLevel;
    }

    /** Whether the VM that the Hello is of was promoted here. */
    boolean promotedHere(SessionHello wanted) {
        ReplicaMeta meta = store.meta();
        return meta != null && meta.role() == ReplicaMeta.Role.PROMOTED && sameVm(meta.hello(), wanted);
    }

    /**
     * What stands against a session.
     *
     * @param fingerprint of the primary's certificate
     * @throws LockstepException {@code vm-runs-here}, {@code replica-other-primary}, {@code shared-disk-no-fence}, and what the host's condition
     *     says
     */
    void check(SessionHello wanted, String fingerprint) throws LockstepException {
        ReplicaMeta meta = store.meta();
        if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
            if (new ProcessIdentity(meta.pid(), meta.startTicks()).alive()) {
                throw new LockstepException(
                        "vm-runs-here",
                        "VM " + vm + " runs on this host (pid " + meta.pid() + ") since it was promoted at epoch "
                                + meta.epoch() + ". Protect it from here, or give the other VM another name.");
            }
        } else if (meta != null && open.isOpen() && !meta.fingerprint().equals(fingerprint)) {
            throw new LockstepException(
                    "replica-other-primary",
                    "Replica " + vm + " is of the primary " + meta.fingerprint() + ", not " + fingerprint
                            + ". End its protection there, or `lockstep discard " + vm + "` here.");
        }
        LockstepException unwanted = open.isOpen() ? null : condition.refusal(vm);
        if (unwanted != null) {
            throw unwanted;
        }
        if (!wanted.sharedDisks().isEmpty() && !fencing.configured()) {
            throw new LockstepException(
                    "shared-disk-no-fence",
                    "VM " + vm + " has disks that both hosts see, " + String.join(", ", wanted.sharedDisks())
                            + ", and this peer has no fence command: nothing would keep two QEMUs from writing to them. Configure"
                            + " [fence] command on the peer, or remove their `shared = true` so that they are copied.");
        }
    }

    /** Whether the replica goes on where it is; waits until all that is committed is applied. */
    boolean resumable(SessionHello wanted) throws LockstepException {
        SessionHello known = open.hello();
        if (known == null
                || !open.isOpen()
                || !sameVm(known, wanted)
                || !known.ramBlocks().equals(wanted.ramBlocks())
                || !known.disks().equals(wanted.disks())) {
            return false;
        }
        long committed = open.newestEpoch();
        open.applying().await(committed);
        return open.content().marker().is(ReplicaMarker.BASELINE)
                && committed >= wanted.lastAckedEpoch()
                && committed <= wanted.lastSentEpoch();
    }

    /** The answer, once the replica is what it says. */
    SessionReply reply(SessionHello wanted, HelloStatus status, long epoch) {
        ReplicaStore.Content content = open.contentIfOpen();
        return new SessionReply(
                ProtocolVersion.common(wanted.protocolVersion()),
                status,
                epoch,
                ackLevel,
                fencing.windowMs(Objects.requireNonNull(open.hello())),
                content == null ? 0 : content.disks().id(),
                "",
                "");
    }

    SessionReply refusal(LockstepException cause) {
        return new SessionReply(
                ProtocolVersion.PROTOCOL_VERSION,
                HelloStatus.REFUSED,
                -1,
                ackLevel,
                0,
                0,
                cause.code(),
                String.valueOf(cause.getMessage()));
    }

    private static boolean sameVm(SessionHello one, SessionHello other) {
        return one.vmIdHigh() == other.vmIdHigh() && one.vmIdLow() == other.vmIdLow();
    }
}
