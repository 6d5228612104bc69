package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the operator's word can do, and what not without the fence. */
class OperatorFailoverTest {
    @TempDir
    Path directory;

    private SimulatedHosts hosts;
    private SimulatedPeer peer;
    private SimulatedPrimary primary;

    @BeforeEach
    void start() {
        hosts = new SimulatedHosts(directory);
        peer = hosts.peer;
        primary = hosts.primary;
    }

    @AfterEach
    void end() {
        hosts.close();
    }

    @Test
    void shouldPromoteAReleasedReplicaOnlyByForce() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.protect();
        hosts.tell(new Released(false, "overload"));
        assertThat(peer.states).containsExactly("released: overload");
        assertThatThrownBy(() -> peer.replica.failover(false))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("replica-released"))
                .hasMessage("The primary of vm runs it unprotected: overload. --force promotes all the same.");
        peer.restart();
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.RELEASED);
        assertThat(peer.replica.failover(true).reason()).isEqualTo(PromotionReason.FORCED);
    }

    @Test
    void shouldPromoteNothingThatIsTornWhenThePrimaryCameBackDuringTheFence() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.protect();
        peer.restart();
        peer.whileFencing = () -> {
            assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
            assertThatCode(() -> hosts.epoch(EpochKind.SYNC)).doesNotThrowAnyException();
        };
        assertThatThrownBy(() -> peer.replica.failover(false))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("replica-not-consistent"));
        assertThat(peer.standbys).noneMatch(standby -> standby.running);
    }

    @Test
    void shouldRefuseAFailoverWhileThePrimaryIsAlive() throws Exception {
        hosts.protect();
        assertThatThrownBy(() -> peer.replica.failover(false))
                .hasMessage(
                        "The primary of vm is connected and runs it. Use `lockstep switchover` there, or --force here.");
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
        assertThat(hosts.answers()).hasAtLeastOneElementOfType(Promoted.class);
    }

    @Test
    void shouldRefuseASharedDiskWhenNoFenceIsConfigured() {
        primary.sharedDisks = List.of("san (/san/lun0)");

        SessionReply reply = hosts.connect(-1, -1);

        assertThat(reply.status()).isEqualTo(HelloStatus.REFUSED);
        assertThat(reply.code()).isEqualTo("shared-disk-no-fence");
        assertThat(reply.cause())
                .isEqualTo(
                        "VM vm has disks that both hosts see, san (/san/lun0), and this peer has no fence command: nothing would"
                                + " keep two QEMUs from writing to them. Configure [fence] command on the peer, or remove their"
                                + " `shared = true` so that they are copied.");
    }

    @Test
    void shouldFenceBeforeAForcedFailoverOfAVmWithASharedDisk() throws Exception {
        hosts.fenced(false, "fence command exit code 1");
        primary.sharedDisks = List.of("san (/san/lun0)");
        hosts.protect();
        hosts.tell(new Released(false, "by choice"));

        assertThatThrownBy(() -> peer.replica.failover(true))
                .isInstanceOf(LockstepException.class)
                .hasMessage(
                        "VM vm is not promoted: fence command exit code 1. Both hosts see its disks san (/san/lun0), and two"
                                + " QEMUs that write to them destroy them: not even --force goes on without the fence. Mend the fence"
                                + " command.");
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.RELEASED);
        peer.fence = new Fence.Outcome(true, "fenced");
        assertThat(peer.replica.failover(true).reason()).isEqualTo(PromotionReason.FORCED);
        assertThat(peer.replica.status().totals().fenceRuns()).isEqualTo(2);
    }

    @Test
    void shouldPromoteAVmWithASharedDiskWithoutTheFenceWhenItsQemuIsDead() throws Exception {
        hosts.fenced(false, "fence command exit code 1");
        primary.sharedDisks = List.of("san (/san/lun0)");
        hosts.protect();

        hosts.tell(new VmDied(1, "killed"));

        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.replica.status().totals().fenceRuns()).isZero();
    }
}
