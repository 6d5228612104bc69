package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The table "Who is dead?": each row, with a simulated clock. */
class WhoIsDeadTest {
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
    void shouldPromoteAtOnceWhenTheVmDied() throws Exception {
        hosts.protect();
        hosts.tell(new VmDied(1, "killed by signal 9"));
        assertThat(peer.states).containsExactly("promoting: vm-died", "promoted: vm-died at epoch 1");
        assertThat(hosts.answers()).singleElement().isInstanceOfSatisfying(Promoted.class, promoted -> assertThat(
                        promoted.epoch())
                .isEqualTo(1));
        assertThat(peer.fences).isEmpty();
        assertThat(peer.standbys).singleElement().satisfies(standby -> assertThat(standby.running)
                .isTrue());
    }

    @Test
    void shouldNotPromoteAnOlderEpochThanAcknowledgedWhenTheVmDied() throws Exception {
        hosts.protect();
        hosts.tell(new VmDied(2, "killed by signal 9"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.errors)
                .contains("replica-behind: The VM died; the replica's epoch 1 < 2 acknowledged: not promoted. "
                        + "`lockstep failover --force` promotes the older state.");
    }

    @Test
    void shouldTakeNothingOfASessionThatAnotherHasReplaced() throws Exception {
        hosts.protect();
        ReplicaSession replaced = peer.session;
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        ReplicaState state = peer.replica.status().state();

        replaced.onControl(new VmDied(1, "late"));
        replaced.onControl(new Goodbye("late"));
        replaced.onControl(new Released(true, "late"));

        assertThat(peer.promotions).isEmpty();
        assertThat(peer.replica.status().state()).isEqualTo(state);
        hosts.epoch(EpochKind.DELTA);
        hosts.tell(new VmDied(2, "killed by signal 9"));
        assertThat(peer.promotions).hasSize(1);
    }

    @Test
    void shouldNotPromoteWhenTheVmDiedInTheFirstCopy() throws Exception {
        hosts.connect(-1, -1);
        hosts.epoch(EpochKind.SYNC);
        hosts.tell(new VmDied(-1, "exited"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("primary-agent-lost: the VM died (exited) and the replica is not consistent");
    }

    @Test
    void shouldDropTheUncommittedEpochWhenTheVmDied() throws Exception {
        hosts.protect();
        byte[] committed = primary.memory[0].clone();
        primary.run(20);
        primary.send(EpochKind.DELTA, message -> {
            if (message.buffer().getShort(2) != 5) { // all but its EpochEnd
                hosts.toPeer().send(message.buffer(), 0, message.length());
            }
        });
        hosts.tell(new VmDied(1, "killed"));
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(1));
        assertThat(peer.file(primary.blocks.get(0))).isEqualTo(committed);
    }

    @Test
    void shouldFenceAndPromoteWhenTheHostIsSilent() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.protect();
        hosts.silentMs(299);
        assertThat(peer.states).isEmpty();
        hosts.silentMs(2);
        assertThat(peer.fences).containsExactly("vm");
        assertThat(peer.states)
                .containsExactly(
                        "fencing: nothing from the primary for 301 ms > failureTimeoutMs 300",
                        "promoting: host-silent",
                        "promoted: host-silent at epoch 1");
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.detectNs())
                .isEqualTo(301_000_000));
    }

    @Test
    void shouldNeverPromoteOnSilenceWhenNoFenceIsConfigured() throws Exception {
        hosts.protect();
        for (int i = 0; i < 100; i++) {
            hosts.silentMs(100);
        }
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states.get(0))
                .isEqualTo("silent: nothing from the primary for 300 ms > failureTimeoutMs 300; no fence command is "
                        + "configured: `lockstep failover --force` promotes");
        hosts.epoch(EpochKind.DELTA);
        assertThat(peer.states).endsWith("protected: the primary speaks again");
    }

    @Test
    void shouldNotPromoteWhenTheFenceCommandFails() throws Exception {
        hosts.fenced(false, "fence command exit code 1: no such host");
        hosts.protect();
        hosts.silentMs(400);
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("silent: not fenced: fence command exit code 1: no such host");
        hosts.silentMs(100);
        assertThat(peer.fences).hasSize(1);
        peer.fence = new Fence.Outcome(true, "fence command exit code 0");
        hosts.silentMs(500);
        assertThat(peer.fences).hasSize(2);
        assertThat(peer.promotions).hasSize(1);
    }

    @Test
    void shouldNotPromoteByItselfBeforeAnEpochOfTheResumedSessionIsCommitted() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.protect();
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        peer.states.clear();
        hosts.silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states)
                .containsExactly(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; no epoch of this session is "
                                + "committed, and what the VM did before may have been seen: `lockstep failover --force` promotes");
        hosts.epoch(EpochKind.DELTA);
        hosts.silentMs(400);
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(2));
    }

    @Test
    void shouldNotPromoteByItselfWhenThePrimaryMayHaveLetItsOutputGo() throws Exception {
        hosts.fenced(false, "fence command exit code 1: no such host");
        assertThat(hosts.connect(-1, -1).promotionWindowMs()).isEqualTo(300 + 1_000);
        hosts.epoch(EpochKind.SYNC);
        hosts.epoch(EpochKind.DELTA);
        hosts.silentMs(400);
        peer.fence = new Fence.Outcome(true, "fence command exit code 0");
        hosts.silentMs(901);
        assertThat(peer.fences).hasSize(1);
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.replica.status().reason())
                .isEqualTo(
                        "nothing from the primary for 1301 ms > failureTimeoutMs 300; the silence is longer than 1300 ms "
                                + "(failureTimeoutMs and the fence's timeoutMs), so that the primary, if it lives, has let its output go: "
                                + "`lockstep failover --force` promotes");
        assertThat(peer.replica.failover(false).epoch()).isEqualTo(1);
    }

    @Test
    void shouldPromiseNeverToPromoteOnSilenceWhenNoFenceIsConfigured() throws Exception {
        assertThat(hosts.connect(-1, -1).promotionWindowMs()).isZero();
    }

    @Test
    void shouldNotFenceWhenItCouldNotPromote() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.connect(-1, -1);
        hosts.epoch(EpochKind.SYNC);
        hosts.silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states.get(peer.states.size() - 1))
                .isEqualTo(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; the replica is not consistent: "
                                + "it cannot be promoted");
    }

    @Test
    void shouldNotFenceWhenNoStandbyIsReady() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        peer.standbyFails = true;
        hosts.protect();
        hosts.silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states)
                .containsExactly(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; no standby is ready: "
                                + "nothing is fenced");
    }

    @Test
    void shouldWaitForTheAgentWhenTheConnectionClosed() throws Exception {
        hosts.fenced(true, "fence command exit code 0");
        hosts.protect();
        hosts.toPeer().close();
        peer.takeAll();
        peer.passMs(2_000);
        assertThat(peer.states)
                .containsExactly("awaiting-agent: connection closed without a goodbye: the connection is closed");
        peer.passMs(1);
        assertThat(peer.states)
                .endsWith("primary-agent-lost: the primary's agent did not come back within agentRestartMs 2000");
        peer.passMs(3_600_000);
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.fences).isEmpty();
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        hosts.epoch(EpochKind.DELTA);
        assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
    }

    @Test
    void shouldWaitWhenTheAgentSaidGoodbye() throws Exception {
        hosts.protect();
        hosts.tell(new Goodbye("agent stops"));
        hosts.toPeer().close();
        peer.takeAll();
        peer.passMs(100_000);
        assertThat(peer.states).containsExactly("away: agent stops");
        assertThatThrownBy(() -> peer.replica.failover(false))
                .hasMessage("No fence command is configured: nothing says that the other host cannot run vm. "
                        + "Configure one, or make sure of it and use --force.");
    }

    @Test
    void shouldRemoveTheReplicaWhenReleasedForGood() throws Exception {
        hosts.protect();
        hosts.tell(new Released(true, "unprotect"));
        assertThat(peer.states).containsExactly("empty: unprotect");
        assertThat(peer.config.stateDirectory().resolve("vm")).doesNotExist();
        assertThat(peer.config.memoryDirectory().resolve("vm")).doesNotExist();
        assertThatThrownBy(() -> peer.replica.failover(true))
                .hasMessage("Replica vm holds no consistent state (empty: unprotect): it cannot be promoted.");
    }

    @Test
    void shouldTellAReturningPrimaryThatTheVmRunsHere() throws Exception {
        hosts.protect();
        hosts.tell(new VmDied(1, "killed"));
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.PROMOTED);
        peer.restart();
        SessionReply reply = hosts.connect(1, 1);
        assertThat(reply.status()).isEqualTo(HelloStatus.PROMOTED);
        assertThat(reply.committedEpoch()).isEqualTo(1);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.standbys).hasSize(1);
        assertThatThrownBy(peer.replica::discard).hasMessageContaining("runs here");
    }

    @Test
    void shouldStayPromotableWhenAPromotionFailed() throws Exception {
        hosts.protect();
        peer.loadFails = true;
        hosts.tell(new VmDied(1, "killed"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("protected: promotion failed: QEMU refused the device state.");
        peer.loadFails = false;
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
    }

    @Test
    void shouldSpawnAnotherStandbyWhenItDies() throws Exception {
        hosts.protect();
        peer.standbys.get(0).alive = false;
        assertThat(peer.replica.status().standbyReady()).isFalse();
        peer.replica.keepStandby(peer.nowNs.get());
        assertThat(peer.standbys).hasSize(2);
        assertThat(peer.replica.status().standbyReady()).isTrue();
        assertThat(peer.standbys.get(1).written.get("block-1")).isEqualTo(primary.memory[1]);
    }

    @Test
    void shouldCopyAgainWhenThePrimaryKnowsMoreThanTheReplica() throws Exception {
        hosts.protect();
        assertThat(hosts.connect(2, 3).status()).isEqualTo(HelloStatus.FULL);
        assertThat(peer.replica.status().promotable()).isFalse();
    }
}
