package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a replica holds, over epochs, sessions and restarts. */
class ReplicaTest {
    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(3, 256, 40, 3);
    private SimulatedPeer peer;
    private MemoryChannel.Pair pair;

    @BeforeEach
    void start() {
        peer = new SimulatedPeer(directory);
    }

    @AfterEach
    void end() {
        peer.close();
    }

    private HelloStatus connect(long lastAcked, long lastSent) {
        pair = MemoryChannel.pair(10_000, 1_000);
        return peer.connect(primary.hello(lastAcked, lastSent), pair.right()).status();
    }

    private void epoch(EpochKind kind, int writes) throws Exception {
        primary.run(writes);
        primary.send(kind, SimulatedPrimary.to(pair.left()));
        peer.takeAll();
    }

    @Test
    void shouldHoldTheGuestsMemoryAfterEachEpoch() throws Exception {
        assertThat(connect(-1, -1)).isEqualTo(HelloStatus.FULL);
        epoch(EpochKind.SYNC, 300);
        epoch(EpochKind.SYNC, 100);
        assertThat(peer.replica.status().promotable()).isFalse();
        for (int i = 0; i < 50; i++) {
            epoch(EpochKind.DELTA, 30);
            assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
        }
        assertThat(peer.errors).isEmpty();
        ReplicaStatus status = peer.replica.status();
        assertThat(status.state()).isEqualTo(ReplicaState.PROTECTED);
        assertThat(status.committedEpoch()).isEqualTo(51);
        assertThat(status.appliedEpoch()).isEqualTo(51);
        assertThat(status.totals().scrubbedPages()).isEqualTo(400);
        assertThat(status.totals().scrubMismatches()).isZero();
    }

    @Test
    void shouldResumeAfterARestart() throws Exception {
        connect(-1, -1);
        epoch(EpochKind.SYNC, 300);
        epoch(EpochKind.DELTA, 30);
        peer.applier.lazy = true;
        epoch(EpochKind.DELTA, 30);
        epoch(EpochKind.DELTA, 30);
        assertThat(peer.hash(primary.blocks)).isNotEqualTo(primary.hash());
        peer.restart();
        assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
        assertThat(connect(2, 3)).isEqualTo(HelloStatus.RESUME);
        epoch(EpochKind.DELTA, 30);
        assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
    }

    @Test
    void shouldBecomeTheVmWhenItDied() throws Exception {
        connect(-1, -1);
        epoch(EpochKind.SYNC, 300);
        for (int i = 0; i < 5; i++) {
            epoch(EpochKind.DELTA, 30);
        }
        ControlCodec.send(pair.left(), new VmDied(5, "QEMU exited"));
        peer.takeAll();
        assertThat(peer.promotions).singleElement().satisfies(promoted -> {
            assertThat(promoted.epoch()).isEqualTo(5);
            assertThat(promoted.reason()).isEqualTo(PromotionReason.VM_DIED);
        });
        SimulatedPeer.RecordingStandby standby = peer.standbys.get(0);
        assertThat(standby.running).isTrue();
        assertThat(standby.loaded).isEqualTo(SimulatedPrimary.deviceState(5));
        assertThat(peer.file(primary.blocks.get(0))).isEqualTo(primary.memory[0]);
        for (RamBlock block : primary.blocks.subList(1, 3)) {
            assertThat(standby.written.get(block.name())).isEqualTo(primary.memory[block.index()]);
        }
        peer.restart();
        assertThat(connect(5, 5)).isEqualTo(HelloStatus.PROMOTED);
        assertThat(standby.alive).isTrue();
    }
}
