package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A planned switchover, as the peer sees it. */
class SwitchoverTest {
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
    void shouldMoveTheVmAsPlanned() throws Exception {
        hosts.protect();
        hosts.tell(new SwitchoverPrepare(1));
        assertThat(hosts.answers()).containsExactly(new SwitchoverReady(1, true, ""));
        assertThat(peer.standbys.get(0).loaded).isEqualTo(SimulatedPrimary.deviceState(1));
        assertThat(peer.standbys.get(0).running).isFalse();
        hosts.tell(new SwitchoverCommit(1));
        assertThat(peer.states)
                .containsExactly(
                        "held: switchover at epoch 1", "promoting: switchover", "promoted: switchover at epoch 1");
        assertThat(peer.standbys.get(0).running).isTrue();
    }

    @Test
    void shouldGoOnWhenTheSwitchoverIsAborted() throws Exception {
        hosts.protect();
        hosts.tell(new SwitchoverPrepare(1));
        hosts.tell(new SwitchoverAbort(1, "not ready in time"));
        assertThat(peer.states).endsWith("protected: switchover off: not ready in time");
        assertThat(peer.standbys.get(0).alive).isFalse();
        peer.replica.keepStandby(peer.nowNs.get());
        assertThat(peer.standbys).hasSize(2);
        hosts.epoch(EpochKind.DELTA);
        hosts.tell(new VmDied(2, "killed"));
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(2));
        assertThat(peer.standbys.get(1).written.get("block-1")).isEqualTo(primary.memory[1]);
    }

    @Test
    void shouldNotRunAHeldStandbyWhenTheConnectionEnds() throws Exception {
        hosts.protect();
        hosts.tell(new SwitchoverPrepare(1));
        hosts.toPeer().close();
        peer.takeAll();
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.standbys.get(0).running).isFalse();
        assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
    }

    @Test
    void shouldSayWhyTheStandbyIsNotReadyForASwitchover() throws Exception {
        hosts.protect();
        peer.loadFails = true;
        hosts.tell(new SwitchoverPrepare(1));
        assertThat(hosts.answers()).containsExactly(new SwitchoverReady(1, false, "QEMU refused the device state."));
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
    }
}
