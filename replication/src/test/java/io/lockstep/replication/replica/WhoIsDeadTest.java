package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.FrameHandler;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The table "Who is dead?": each row, with a simulated clock. */
class WhoIsDeadTest {
    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(5, 64, 8);
    private SimulatedPeer peer;
    private MemoryChannel.Pair pair;
    private long lastSpokeNs;

    @BeforeEach
    void start() {
        peer = new SimulatedPeer(directory);
    }

    @AfterEach
    void end() {
        peer.close();
    }

    /** A channel whose bytes came when the simulated clock said. */
    private final class ClockedChannel implements FrameChannel {
        private final MemoryChannel channel;

        ClockedChannel(MemoryChannel channel) {
            this.channel = channel;
            lastSpokeNs = peer.nowNs.get();
        }

        @Override
        public boolean receive(FrameHandler handler, long timeoutMs) throws LinkException {
            return channel.receive(
                    (buffer, offset, length) -> {
                        lastSpokeNs = peer.nowNs.get();
                        handler.onFrame(buffer, offset, length);
                    },
                    timeoutMs);
        }

        @Override
        public long lastReceivedNs() {
            return lastSpokeNs;
        }

        @Override
        public void send(DirectBuffer message, int offset, int length) throws LinkException {
            channel.send(message, offset, length);
        }

        @Override
        public void flush() throws LinkException {
            channel.flush();
        }

        @Override
        public long sentBytes() {
            return channel.sentBytes();
        }

        @Override
        public String peerFingerprint() {
            return channel.peerFingerprint();
        }

        @Override
        public void close() {
            channel.close();
        }
    }

    private SessionReply connect(long lastAcked, long lastSent) {
        pair = MemoryChannel.pair(1_000, 1_000);
        return peer.connect(primary.hello(lastAcked, lastSent), new ClockedChannel(pair.right()));
    }

    private void epoch(EpochKind kind) throws Exception {
        primary.run(10);
        primary.send(kind, SimulatedPrimary.to(pair.left()));
        peer.takeAll();
    }

    /** A session with a consistent replica at epoch 1. */
    private void protect() throws Exception {
        assertThat(connect(-1, -1).status()).isEqualTo(HelloStatus.FULL);
        epoch(EpochKind.SYNC);
        epoch(EpochKind.DELTA);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
        peer.states.clear();
    }

    private void fenced(boolean fenced, String detail) {
        peer.close();
        peer.fence = new Fence.Outcome(fenced, detail);
        peer.start();
    }

    private void tell(ControlMessage message) throws Exception {
        ControlCodec.send(pair.left(), message);
        peer.takeAll();
    }

    private List<ControlMessage> answers() throws Exception {
        List<ControlMessage> answers = new ArrayList<>();
        FrameHandler handler = (buffer, offset, length) -> {
            if (new MessageHeaderDecoder().wrap(buffer, offset).templateId() != EpochAckDecoder.TEMPLATE_ID) {
                answers.add(ControlCodec.decode(buffer, offset, length));
            }
        };
        try {
            while (pair.left().receive(handler, 0)) {
                assertThat(answers.size()).isLessThan(1_000);
            }
        } catch (LinkException e) {
            assertThat(e.kind()).isEqualTo(LinkException.Kind.CLOSED);
        }
        return answers;
    }

    private void silentMs(long ms) {
        peer.passMs(ms);
        peer.takeAll();
    }

    @Test
    void shouldPromoteAtOnceWhenTheVmDied() throws Exception {
        protect();
        tell(new VmDied(1, "killed by signal 9"));
        assertThat(peer.states).containsExactly("promoting: vm-died", "promoted: vm-died at epoch 1");
        assertThat(answers()).singleElement().isInstanceOfSatisfying(Promoted.class, promoted -> assertThat(
                        promoted.epoch())
                .isEqualTo(1));
        assertThat(peer.fences).isEmpty();
        assertThat(peer.standbys).singleElement().satisfies(standby -> assertThat(standby.running)
                .isTrue());
    }

    @Test
    void shouldNotPromoteAnOlderEpochThanAcknowledgedWhenTheVmDied() throws Exception {
        protect();
        tell(new VmDied(2, "killed by signal 9"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.errors)
                .contains("replica-behind: The VM died; the replica's epoch 1 < 2 acknowledged: not promoted. "
                        + "`lockstep failover --force` promotes the older state.");
    }

    @Test
    void shouldNotPromoteWhenTheVmDiedInTheFirstCopy() throws Exception {
        connect(-1, -1);
        epoch(EpochKind.SYNC);
        tell(new VmDied(-1, "exited"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("primary-agent-lost: the VM died (exited) and the replica is not consistent");
    }

    @Test
    void shouldDropTheUncommittedEpochWhenTheVmDied() throws Exception {
        protect();
        byte[] committed = primary.memory[0].clone();
        primary.run(20);
        primary.send(EpochKind.DELTA, message -> {
            if (message.buffer().getShort(2) != 5) { // all but its EpochEnd
                pair.left().send(message.buffer(), 0, message.length());
            }
        });
        tell(new VmDied(1, "killed"));
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(1));
        assertThat(peer.file(primary.blocks.get(0))).isEqualTo(committed);
    }

    @Test
    void shouldFenceAndPromoteWhenTheHostIsSilent() throws Exception {
        fenced(true, "fence command exit code 0");
        protect();
        silentMs(299);
        assertThat(peer.states).isEmpty();
        silentMs(2);
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
        protect();
        for (int i = 0; i < 100; i++) {
            silentMs(100);
        }
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states.get(0))
                .isEqualTo("silent: nothing from the primary for 300 ms > failureTimeoutMs 300; no fence command is "
                        + "configured: `lockstep failover --force` promotes");
        epoch(EpochKind.DELTA);
        assertThat(peer.states).endsWith("protected: the primary speaks again");
    }

    @Test
    void shouldNotPromoteWhenTheFenceCommandFails() throws Exception {
        fenced(false, "fence command exit code 1: no such host");
        protect();
        silentMs(400);
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("silent: not fenced: fence command exit code 1: no such host");
        silentMs(100);
        assertThat(peer.fences).hasSize(1);
        peer.fence = new Fence.Outcome(true, "fence command exit code 0");
        silentMs(500);
        assertThat(peer.fences).hasSize(2);
        assertThat(peer.promotions).hasSize(1);
    }

    @Test
    void shouldNotPromoteByItselfBeforeAnEpochOfTheResumedSessionIsCommitted() throws Exception {
        fenced(true, "fence command exit code 0");
        protect();
        assertThat(connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        peer.states.clear();
        silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states)
                .containsExactly(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; no epoch of this session is "
                                + "committed, and what the VM did before may have been seen: `lockstep failover --force` promotes");
        epoch(EpochKind.DELTA);
        silentMs(400);
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(2));
    }

    @Test
    void shouldNotPromoteByItselfWhenThePrimaryMayHaveLetItsOutputGo() throws Exception {
        fenced(false, "fence command exit code 1: no such host");
        assertThat(connect(-1, -1).promotionWindowMs()).isEqualTo(300 + 1_000);
        epoch(EpochKind.SYNC);
        epoch(EpochKind.DELTA);
        silentMs(400);
        peer.fence = new Fence.Outcome(true, "fence command exit code 0");
        silentMs(901);
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
        assertThat(connect(-1, -1).promotionWindowMs()).isZero();
    }

    @Test
    void shouldNotFenceWhenItCouldNotPromote() throws Exception {
        fenced(true, "fence command exit code 0");
        connect(-1, -1);
        epoch(EpochKind.SYNC);
        silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states.get(peer.states.size() - 1))
                .isEqualTo(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; the replica is not consistent: "
                                + "it cannot be promoted");
    }

    @Test
    void shouldNotFenceWhenNoStandbyIsReady() throws Exception {
        fenced(true, "fence command exit code 0");
        peer.standbyFails = true;
        protect();
        silentMs(400);
        assertThat(peer.fences).isEmpty();
        assertThat(peer.states)
                .containsExactly(
                        "silent: nothing from the primary for 400 ms > failureTimeoutMs 300; no standby is ready: "
                                + "nothing is fenced");
    }

    @Test
    void shouldWaitForTheAgentWhenTheConnectionClosed() throws Exception {
        fenced(true, "fence command exit code 0");
        protect();
        pair.left().close();
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
        assertThat(connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
        epoch(EpochKind.DELTA);
        assertThat(peer.hash(primary.blocks)).isEqualTo(primary.hash());
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
    }

    @Test
    void shouldWaitWhenTheAgentSaidGoodbye() throws Exception {
        protect();
        tell(new Goodbye("agent stops"));
        pair.left().close();
        peer.takeAll();
        peer.passMs(100_000);
        assertThat(peer.states).containsExactly("away: agent stops");
        assertThatThrownBy(() -> peer.replica.failover(false))
                .hasMessage("No fence command is configured: nothing says that the other host cannot run vm. "
                        + "Configure one, or make sure of it and use --force.");
    }

    @Test
    void shouldPromoteAReleasedReplicaOnlyByForce() throws Exception {
        fenced(true, "fence command exit code 0");
        protect();
        tell(new Released(false, "overload"));
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
    void shouldRemoveTheReplicaWhenReleasedForGood() throws Exception {
        protect();
        tell(new Released(true, "unprotect"));
        assertThat(peer.states).containsExactly("empty: unprotect");
        assertThat(peer.config.stateDirectory().resolve("vm")).doesNotExist();
        assertThat(peer.config.memoryDirectory().resolve("vm")).doesNotExist();
        assertThatThrownBy(() -> peer.replica.failover(true))
                .hasMessage("Replica vm holds no consistent state (empty: unprotect): it cannot be promoted.");
    }

    @Test
    void shouldRefuseAFailoverWhileThePrimaryIsAlive() throws Exception {
        protect();
        assertThatThrownBy(() -> peer.replica.failover(false))
                .hasMessage(
                        "The primary of vm is connected and runs it. Use `lockstep switchover` there, or --force here.");
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
        assertThat(answers()).hasAtLeastOneElementOfType(Promoted.class);
    }

    @Test
    void shouldTellAReturningPrimaryThatTheVmRunsHere() throws Exception {
        protect();
        tell(new VmDied(1, "killed"));
        assertThat(connect(1, 1).status()).isEqualTo(HelloStatus.PROMOTED);
        peer.restart();
        SessionReply reply = connect(1, 1);
        assertThat(reply.status()).isEqualTo(HelloStatus.PROMOTED);
        assertThat(reply.committedEpoch()).isEqualTo(1);
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.standbys).hasSize(1);
        assertThatThrownBy(peer.replica::discard).hasMessageContaining("runs here");
    }

    @Test
    void shouldMoveTheVmAsPlanned() throws Exception {
        protect();
        tell(new SwitchoverPrepare(1));
        assertThat(answers()).containsExactly(new SwitchoverReady(1, true, ""));
        assertThat(peer.standbys.get(0).loaded).isEqualTo(SimulatedPrimary.deviceState(1));
        assertThat(peer.standbys.get(0).running).isFalse();
        tell(new SwitchoverCommit(1));
        assertThat(peer.states)
                .containsExactly(
                        "held: switchover at epoch 1", "promoting: switchover", "promoted: switchover at epoch 1");
        assertThat(peer.standbys.get(0).running).isTrue();
    }

    @Test
    void shouldGoOnWhenTheSwitchoverIsAborted() throws Exception {
        protect();
        tell(new SwitchoverPrepare(1));
        tell(new SwitchoverAbort(1, "not ready in time"));
        assertThat(peer.states).endsWith("protected: switchover off: not ready in time");
        assertThat(peer.standbys.get(0).alive).isFalse();
        peer.replica.keepStandby(peer.nowNs.get());
        assertThat(peer.standbys).hasSize(2);
        epoch(EpochKind.DELTA);
        tell(new VmDied(2, "killed"));
        assertThat(peer.promotions).singleElement().satisfies(p -> assertThat(p.epoch())
                .isEqualTo(2));
        assertThat(peer.standbys.get(1).written.get("block-1")).isEqualTo(primary.memory[1]);
    }

    @Test
    void shouldNotRunAHeldStandbyWhenTheConnectionEnds() throws Exception {
        protect();
        tell(new SwitchoverPrepare(1));
        pair.left().close();
        peer.takeAll();
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.standbys.get(0).running).isFalse();
        assertThat(connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
    }

    @Test
    void shouldSayWhyTheStandbyIsNotReadyForASwitchover() throws Exception {
        protect();
        peer.loadFails = true;
        tell(new SwitchoverPrepare(1));
        assertThat(answers()).containsExactly(new SwitchoverReady(1, false, "QEMU refused the device state."));
        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROTECTED);
    }

    @Test
    void shouldStayPromotableWhenAPromotionFailed() throws Exception {
        protect();
        peer.loadFails = true;
        tell(new VmDied(1, "killed"));
        assertThat(peer.promotions).isEmpty();
        assertThat(peer.states).endsWith("protected: promotion failed: QEMU refused the device state.");
        peer.loadFails = false;
        assertThat(peer.replica.failover(true).epoch()).isEqualTo(1);
    }

    @Test
    void shouldSpawnAnotherStandbyWhenItDies() throws Exception {
        protect();
        peer.standbys.get(0).alive = false;
        assertThat(peer.replica.status().standbyReady()).isFalse();
        peer.replica.keepStandby(peer.nowNs.get());
        assertThat(peer.standbys).hasSize(2);
        assertThat(peer.replica.status().standbyReady()).isTrue();
        assertThat(peer.standbys.get(1).written.get("block-1")).isEqualTo(primary.memory[1]);
    }

    @Test
    void shouldCopyAgainWhenThePrimaryKnowsMoreThanTheReplica() throws Exception {
        protect();
        assertThat(connect(2, 3).status()).isEqualTo(HelloStatus.FULL);
        assertThat(peer.replica.status().promotable()).isFalse();
    }

    @Test
    void shouldRefuseASharedDiskWhenNoFenceIsConfigured() {
        primary.sharedDisks = List.of("san (/san/lun0)");

        SessionReply reply = connect(-1, -1);

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
        fenced(false, "fence command exit code 1");
        primary.sharedDisks = List.of("san (/san/lun0)");
        protect();
        tell(new Released(false, "by choice"));

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
        fenced(false, "fence command exit code 1");
        primary.sharedDisks = List.of("san (/san/lun0)");
        protect();

        tell(new VmDied(1, "killed"));

        assertThat(peer.replica.status().state()).isEqualTo(ReplicaState.PROMOTED);
        assertThat(peer.replica.status().totals().fenceRuns()).isZero();
    }
}
