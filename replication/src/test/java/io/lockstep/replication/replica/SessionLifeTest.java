package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.wire.EpochKind;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A session that is busy with one message is not silent, one that hangs is. */
class SessionLifeTest {
    private static final long HEARTBEAT_NS = 7;

    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(8, 32, 4);
    private final MemoryChannel.Pair pair = MemoryChannel.pair(1_000, 1_000);
    private final List<Long> heard = new ArrayList<>();

    @Test
    void shouldSayThatItIsHereWhileOneMessageTakesLong() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            peer.connect(primary.hello(-1, -1), pair.right());
            primary.send(EpochKind.SYNC, SimulatedPrimary.to(pair.left()));
            new LiveSender(pair.left()).heartbeat(HEARTBEAT_NS, 0);
            peer.takeAll();
            assertThat(answers()).containsExactly(HEARTBEAT_NS);
            peer.session.stillHere(peer.nowNs.get() + 1_000_000_000L);
            assertThat(answers()).as("idle: its own thread answers").isEmpty();

            long failureTimeoutMs = primary.hello(-1, -1).failureTimeoutMs();
            assertThat(answersAfterMs(peer, failureTimeoutMs / 4 - 1)).isEmpty();
            assertThat(answersAfterMs(peer, failureTimeoutMs / 4)).containsExactly(HEARTBEAT_NS);
            assertThat(answersAfterMs(peer, 10_000)).containsExactly(HEARTBEAT_NS);
            assertThat(answersAfterMs(peer, 10_001)).as("it hangs").isEmpty();
        }
    }

    @Test
    void shouldCountStallsOfBothItsThreads() throws Exception {
        try (SimulatedPeer peer = new SimulatedPeer(directory)) {
            peer.connect(primary.hello(-1, -1), pair.right());
            ReplicaSession session = Objects.requireNonNull(peer.session);
            Thread thread = new Thread(() -> session.run(peer.nowNs::get), "session");
            thread.start();
            try {
                await().until(() -> peer.replica.liveRounds().lastNs() > 0);
                AtomicBoolean taken = new AtomicBoolean();
                peer.applier.meanwhile = () -> {
                    if (!taken.getAndSet(true)) {
                        // Also beyond the pause of the thread beside, a quarter of the failure timeout.
                        peer.nowNs.addAndGet(
                                primary.hello(-1, -1).failureTimeoutMs() * 1_000_000L + DutyCycle.STALL_NS + 1);
                    }
                };
                primary.send(EpochKind.SYNC, SimulatedPrimary.to(pair.left()));
                await().atMost(Duration.ofSeconds(20))
                        .until(() -> peer.replica.sessionRounds().stalls() == 1
                                && peer.replica.liveRounds().stalls() == 1);
            } finally {
                session.end();
                thread.join();
            }
            assertThat(peer.replica.sessionRounds().ageNs(Long.MAX_VALUE)).isZero();
        }
    }

    /** What is heard if the end of an epoch takes so long. */
    private List<Long> answersAfterMs(SimulatedPeer peer, long ms) throws Exception {
        peer.applier.meanwhile = () -> {
            peer.nowNs.addAndGet(ms * 1_000_000);
            peer.session.stillHere(peer.nowNs.get());
        };
        primary.send(EpochKind.DELTA, SimulatedPrimary.to(pair.left()));
        peer.takeAll();
        return answers();
    }

    private List<Long> answers() throws LinkException {
        heard.clear();
        SessionDispatcher dispatcher = new SessionDispatcher(new SessionHandler() {
            @Override
            public void onHeartbeatReply(long sentNs, boolean standbyReady, int health) {
                heard.add(sentNs);
            }

            @Override
            public void onEpochAck(long epoch, long appliedEpoch, long journalBytes, long journalEpochs) {
                assertThat(epoch).isNotNegative();
            }
        });
        boolean more = true;
        while (more) {
            more = pair.left().receive(dispatcher, 0);
        }
        return List.copyOf(heard);
    }
}
