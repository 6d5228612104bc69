package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An agent that ends, or a QEMU that fails, between the record of a promotion and the VM's first instruction here. */
class PromotionDeathTest {
    @TempDir
    Path directory;

    private SimulatedHosts hosts;
    private SimulatedPeer peer;
    private SimulatedPrimary primary;

    /** The process is gone: nothing after it happens. */
    private static final class Death extends Error {
        private static final long serialVersionUID = 1;
    }

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

    private void dieAtTheOrder(boolean given) throws Exception {
        hosts.protect();
        peer.atRun = standby -> {
            standby.running = given;
            throw new Death();
        };
        assertThatThrownBy(() -> hosts.tell(new VmDied(1, "killed by signal 9")))
                .isInstanceOf(Death.class);
        peer.atRun = standby -> standby.running = true;
        peer.restart();
    }

    @Test
    void shouldFinishThePromotionWhenTheAgentEndedBeforeItGaveTheOrder() throws Exception {
        dieAtTheOrder(false);
        assertThat(peer.promotions).isEmpty();
        peer.passMs(1);

        assertThat(peer.promotions).singleElement().satisfies(promoted -> {
            assertThat(promoted.epoch()).isEqualTo(1);
            assertThat(promoted.reason()).isEqualTo(PromotionReason.EARLIER_DECISION);
        });
        SimulatedPeer.RecordingStandby last = peer.standbys.get(peer.standbys.size() - 1);
        assertThat(last.running).isTrue();
        assertThat(last.loaded).isEqualTo(SimulatedPrimary.deviceState(1));
        assertThat(last.written.get("block-1")).isEqualTo(primary.memory[1]);
        assertThat(peer.standbys).filteredOn(standby -> standby.running).hasSize(1);
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.PROMOTED);
        int standbys = peer.standbys.size();
        peer.restart();
        peer.passMs(1);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.standbys).hasSize(standbys);
    }

    @Test
    void shouldLeaveTheVmAloneWhenTheAgentEndedAfterItGaveTheOrder() throws Exception {
        dieAtTheOrder(true);
        peer.passMs(1);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.standbys).singleElement().satisfies(standby -> assertThat(standby.running)
                .isTrue());
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.PROMOTED);
    }

    @Test
    void shouldStillHoldTheReplicaWhenTheNextAgentEndsToo() throws Exception {
        dieAtTheOrder(false);
        peer.restart();
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.AWAITING_AGENT);
        assertThat(peer.replica.status().committedEpoch()).isEqualTo(1);
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
        assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
    }

    @Test
    void shouldStayAReplicaWhenTheOrderCannotBeRecorded() throws Exception {
        hosts.protect();
        peer.recordFails = true;
        hosts.tell(new VmDied(1, "killed by signal 9"));
        assertThat(peer.states)
                .endsWith("protected: promotion failed: Cannot write standby.pid: No space left on device.");
        assertThat(peer.standbys).noneMatch(standby -> standby.running || standby.alive);

        peer.restart();
        peer.passMs(1);
        assertThat(peer.promotions).isEmpty();
        peer.recordFails = false;
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
    }

    @Test
    void shouldForgetTheDecisionWhenThePrimaryRunsTheVmAndBeginsASession() throws Exception {
        dieAtTheOrder(false);
        peer.standbyFails = true;
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        assertThat(peer.errors).anyMatch(error -> error.startsWith("standby-failed"));
        peer.standbyFails = false;
        hosts.epoch(EpochKind.DELTA);
        peer.passMs(1);
        assertThat(peer.promotions).isEmpty();
    }

    @Test
    void shouldWriteNothingMoreWhenItIsUnknownWhetherTheVmRuns() throws Exception {
        hosts.protect();
        byte[] held = peer.file(primary.blocks.get(0));
        peer.atRun = standby -> {
            throw new LockstepException("standby-run-failed", "The standby QEMU (pid 1) does not run: it hangs.");
        };
        hosts.tell(new VmDied(1, "killed by signal 9"));

        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.FAILED);
        assertThat(peer.states)
                .endsWith("failed: the standby may or may not run: The standby QEMU (pid 1) does not run: it hangs.");
        assertThat(peer.session.ended()).isTrue();
        assertThatThrownBy(() -> {
                    hosts.epoch(EpochKind.SYNC);
                    hosts.epoch(EpochKind.DELTA);
                })
                .isInstanceOf(LockstepException.class);
        assertThat(peer.file(primary.blocks.get(0))).isEqualTo(held);
        peer.session.onControl(new SwitchoverAbort(1, "late"));
        peer.passMs(60_000);
        assertThat(peer.standbys).hasSize(1);
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.PROMOTED);
        assertThatThrownBy(() -> peer.replica.failover(true))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("replica-not-consistent"));
    }
}
