package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a primary and its peer tell each other of their hardware, and what a failing peer does not take. */
class HostConditionTest {
    private static final int DEGRADING = 2;
    private static final int FAILING = 3;

    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(8, 32, 4);
    private final List<Integer> heard = new ArrayList<>();
    private final MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
    private SimulatedPeer peer;
    private @Nullable LockstepException refusal;

    @BeforeEach
    void start() {
        peer = new SimulatedPeer(directory);
        peer.condition = new HostCondition() {
            @Override
            public int health() {
                return DEGRADING;
            }

            @Override
            public @Nullable LockstepException refusal(String vm) {
                return refusal;
            }
        };
        peer.restart();
    }

    @AfterEach
    void close() {
        peer.close();
    }

    private void heartbeat(int health) throws LinkException {
        new LiveSender(pair.left()).heartbeat(1, health);
        peer.takeAll();
        pair.left()
                .receive(
                        new SessionDispatcher(new SessionHandler() {
                            @Override
                            public void onHeartbeatReply(long sentNs, boolean standbyReady, int answered) {
                                heard.add(answered);
                            }
                        }),
                        0);
    }

    @Test
    void shouldExchangeHealthInTheHeartbeatAndForgetWhatIsOld() throws Exception {
        peer.connect(primary.hello(-1, -1), pair.right());
        assertThat(peer.replica.status().primaryHealth()).isEqualTo(ReportedHealth.UNKNOWN);
        heartbeat(FAILING);
        assertThat(heard).containsExactly(DEGRADING);
        assertThat(peer.replica.status().primaryHealth()).isEqualTo(FAILING);
        heartbeat(0);
        assertThat(peer.replica.status().primaryHealth()).isZero();
        peer.passMs(301);
        assertThat(peer.replica.status().primaryHealth()).isEqualTo(ReportedHealth.UNKNOWN);
        heartbeat(FAILING);
        pair.left().close();
        peer.takeAll();
        assertThat(peer.replica.status().primaryHealth()).isEqualTo(ReportedHealth.UNKNOWN);
    }

    @Test
    void shouldRefuseTheFirstReplicaOfAVmButNotOneThatGoesOn() throws Exception {
        refusal = new LockstepException("host-failing", "DIMM A2 is failing. Replace it.");
        SessionReply refused = peer.connect(primary.hello(-1, -1), pair.right());
        assertThat(refused.status()).isEqualTo(HelloStatus.REFUSED);
        assertThat(refused.code()).isEqualTo("host-failing");
        assertThat(refused.cause()).isEqualTo("DIMM A2 is failing. Replace it.");
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.EMPTY);
        assertThat(peer.standbys).isEmpty();
        refusal = null;
        MemoryChannel.Pair second = MemoryChannel.pair(1_000, 1_000);
        assertThat(peer.connect(primary.hello(-1, -1), second.right()).status()).isEqualTo(HelloStatus.FULL);
        primary.send(EpochKind.SYNC, SimulatedPrimary.to(second.left()));
        primary.send(EpochKind.DELTA, SimulatedPrimary.to(second.left()));
        peer.takeAll();
        refusal = new LockstepException("host-failing", "DIMM A2 is failing. Replace it.");
        MemoryChannel.Pair third = MemoryChannel.pair(1_000, 1_000);
        assertThat(peer.connect(primary.hello(1, 1), third.right()).status()).isEqualTo(HelloStatus.RESUME);
    }
}
