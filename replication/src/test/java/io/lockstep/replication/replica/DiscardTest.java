package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The operator removes a replica that its primary does not ask for any more. */
class DiscardTest {
    private static final String OTHER = "sha256:" + "1".repeat(64);

    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(8, 32, 4);
    private SimulatedPeer peer;
    private MemoryChannel.Pair pair;

    @BeforeEach
    void start() throws Exception {
        peer = new SimulatedPeer(directory);
        pair = MemoryChannel.pair(1_000, 1_000);
        assertThat(peer.connect(primary.hello(-1, -1), pair.right()).status()).isEqualTo(HelloStatus.FULL);
        for (EpochKind kind : new EpochKind[] {EpochKind.SYNC, EpochKind.DELTA}) {
            primary.run(10);
            primary.send(kind, SimulatedPrimary.to(pair.left()));
            peer.takeAll();
        }
    }

    @AfterEach
    void stop() {
        peer.close();
    }

    private void refused(String code, String message) {
        assertThatThrownBy(() -> peer.replica.discard())
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo(code))
                .hasMessage(message);
    }

    private SessionReply helloOfAnother() {
        SessionHello hello = primary.hello(-1, -1);
        return peer.replica.hello(
                hello,
                new ReplicaSession(
                        peer.replica, MemoryChannel.pair(1_000, 1_000).right(), hello),
                OTHER);
    }

    @Test
    void shouldRefuseWhileThePrimaryIsConnected() {
        refused(
                "primary-alive",
                "The primary of vm is connected and replicates it here. Use `lockstep unprotect vm` there.");
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
        assertThat(peer.standbys).hasSize(1);
    }

    @Test
    void shouldMakeRoomForAnotherPrimary() throws Exception {
        pair.left().close();
        peer.takeAll();
        SessionReply refusal = helloOfAnother();
        assertThat(refusal.status()).isEqualTo(HelloStatus.REFUSED);
        assertThat(refusal.code()).isEqualTo("replica-other-primary");
        assertThat(refusal.cause())
                .isEqualTo("Replica vm is of the primary sha256:" + "0".repeat(64) + ", not " + OTHER
                        + ". End its protection there, or `lockstep discard vm` here.");

        peer.replica.discard();
        assertThat(directory.resolve("memory/vm")).doesNotExist();
        assertThat(peer.replica.status().lastErrorCode()).isEmpty();
        assertThat(helloOfAnother().status()).isEqualTo(HelloStatus.FULL);
    }

    @Test
    void shouldRefuseWhenTheVmRunsHere() throws Exception {
        long pid = peer.replica.failover(true).pid();
        refused(
                "vm-runs-here",
                "VM vm runs here (pid " + pid
                        + ") in the replica's memory. End it first, or switch it over to another host.");
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
    }

    @Test
    void shouldRefuseWhenThereIsNothingToDiscard() throws Exception {
        pair.left().close();
        peer.takeAll();
        peer.replica.discard();
        refused(
                "replica-unknown",
                "There is no replica of a VM vm on this host. `lockstep status` lists those that there are.");
    }
}
