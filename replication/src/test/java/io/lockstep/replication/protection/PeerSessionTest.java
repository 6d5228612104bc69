package io.lockstep.replication.protection;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.link.LiveSender;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.replication.link.SessionDispatcher;
import io.lockstep.replication.link.SessionHandler;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.link.TestHello;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Over a real link, to a peer that acknowledges without a pause. */
class PeerSessionTest {
    private static final int ROUNDS = 20;
    private static final long WAIT_MS = 20_000;

    @TempDir
    Path directory;

    private Identity primary;
    private Identity peer;
    private final BlockingQueue<FrameChannel> sessions = new LinkedBlockingQueue<>();
    private final BlockingQueue<ControlMessage> heard = new LinkedBlockingQueue<>();
    private final BlockingQueue<ControlMessage> answers = new LinkedBlockingQueue<>();

    @BeforeEach
    void makeIdentities() throws Exception {
        primary = Identity.openOrCreate(directory.resolve("primary"));
        peer = Identity.openOrCreate(directory.resolve("peer"));
    }

    private LinkListener listen(Consumer<FrameChannel> serves) throws Exception {
        return new LinkListener(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                peer,
                () -> Set.of(primary.fingerprint()),
                LinkTimeouts.DEFAULT,
                channel -> new Thread(() -> serves.accept(channel), "peer").start());
    }

    private PeerSession session(LinkListener listener, IntSupplier ownHealth, PeerSession.Listener notes) {
        return new PeerSession(
                "vm",
                new PeerAddress("peer", listener.address(), peer.fingerprint()),
                new LinkDialer(primary, LinkTimeouts.DEFAULT),
                TestHello::micro,
                ownHealth,
                settings(),
                notes);
    }

    @Test
    void shouldBeHeardToTheLastWordAndHearTheAnswerWhenItEndsWhileAcknowledgementsCome() throws Exception {
        try (LinkListener listener = listen(channel -> serve(channel))) {
            for (int round = 0; round < ROUNDS; round++) {
                VmDied last = new VmDied(round, "killed");
                PeerSession session = session(listener, () -> ReportedHealth.UNKNOWN, new Notes());
                session.start();
                FrameChannel open = sessions.poll(WAIT_MS, TimeUnit.MILLISECONDS);
                assertThat(open).isNotNull();
                ControlCodec.send(open, last);
                session.closeInOrder(WAIT_MS);

                assertThat(heard.poll(WAIT_MS, TimeUnit.MILLISECONDS)).isEqualTo(last);
                assertThat(answers.poll()).isEqualTo(new Promoted(round, 1));
            }
        }
    }

    /** Agents of version 1 close when they are told of a newer one; later ones say that it is too new for them. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldSpeakTheOlderVersionToAPeerThatKnowsNoOther(boolean answers) throws Exception {
        BlockingQueue<Integer> spoken = new LinkedBlockingQueue<>();
        BlockingQueue<SessionReply> replies = new LinkedBlockingQueue<>();
        BlockingQueue<LockstepException> ends = new LinkedBlockingQueue<>();
        try (LinkListener listener = listen(channel -> answerAsOlder(channel, answers, spoken));
                PeerSession session = session(listener, () -> ReportedHealth.UNKNOWN, new Notes() {
                    @Override
                    public void established(FrameChannel channel, SessionReply reply) {
                        replies.add(reply);
                    }

                    @Override
                    public void ended(LockstepException cause) {
                        ends.add(cause);
                    }
                })) {
            session.start();
            SessionReply reply = replies.poll(WAIT_MS, TimeUnit.MILLISECONDS);
            assertThat(reply).isNotNull();
            assertThat(reply.protocolVersion()).isEqualTo(1);
            assertThat(ProtocolVersion.hasReferences(reply.protocolVersion())).isFalse();
            assertThat(spoken).containsExactly(ProtocolVersion.PROTOCOL_VERSION, 1);
            if (answers) {
                assertThat(ends).as("nobody needs to hear of the first try").isEmpty();
            }
        }
    }

    private void answerAsOlder(FrameChannel channel, boolean answers, BlockingQueue<Integer> spoken) {
        try (channel) {
            AtomicReference<Integer> said = new AtomicReference<>();
            channel.receive(
                    (b, o, n) -> said.set(HelloCodec.decodeHello(b, o, n).protocolVersion()), WAIT_MS);
            spoken.add(said.get());
            boolean understood = said.get() == 1;
            if (!understood && !answers) {
                return;
            }
            HelloCodec.send(
                    channel,
                    new SessionReply(
                            1,
                            understood ? HelloStatus.FULL : HelloStatus.REFUSED,
                            -1,
                            AckLevel.MEMORY,
                            0,
                            0,
                            understood ? "" : ProtocolVersion.TOO_NEW,
                            understood ? "" : "peer's protocol version " + said.get() + " > 1."));
            while (understood) {
                channel.receive((b, o, n) -> {}, WAIT_MS);
            }
        } catch (LockstepException e) {
            // The session has ended.
        }
    }

    @Test
    void shouldCountStallsOfBothItsThreads() throws Exception {
        AtomicReference<DutyCycle> sending = new AtomicReference<>();
        AtomicReference<DutyCycle> receiving = new AtomicReference<>();
        try (LinkListener listener = listen(channel -> serve(channel));
                PeerSession session = session(
                        listener,
                        () -> {
                            holdUp(sending);
                            return ReportedHealth.UNKNOWN;
                        },
                        new Notes() {
                            @Override
                            public void acknowledged(long e, long applied, long bytes, long epochs, long nowNs) {
                                holdUp(receiving);
                            }
                        })) {
            assertThat(session.receiving().stalls() + session.keeping().stalls())
                    .isZero();
            sending.set(session.keeping());
            receiving.set(session.receiving());
            session.start();
            await().atMost(Duration.ofSeconds(20))
                    .until(() -> session.receiving().stalls() > 0
                            && session.keeping().stalls() > 0);
        }
    }

    /** Makes the calling thread stand still for so long that its cycle must count it; once. */
    private static void holdUp(AtomicReference<DutyCycle> cycle) {
        DutyCycle held = cycle.getAndSet(null);
        if (held != null) {
            await().atMost(Duration.ofSeconds(20)).until(() -> held.ageNs(System.nanoTime()) > DutyCycle.STALL_NS);
        }
    }

    private void serve(FrameChannel channel) {
        try (channel) {
            channel.receive((b, o, n) -> {}, WAIT_MS);
            HelloCodec.send(
                    channel,
                    new SessionReply(
                            ProtocolVersion.PROTOCOL_VERSION, HelloStatus.RESUME, 0, AckLevel.MEMORY, 0, 0, "", ""));
            LiveSender live = new LiveSender(channel);
            SessionDispatcher rest = new SessionDispatcher(new Peer(channel));
            while (true) {
                channel.receive(rest, 0);
                live.epochAck(1, 1, 0, 0);
            }
        } catch (LockstepException e) {
            // The session has ended.
        }
    }

    /** What the peer does with what comes. */
    private final class Peer implements SessionHandler {
        private final FrameChannel channel;

        Peer(FrameChannel channel) {
            this.channel = channel;
        }

        @Override
        public void onHeartbeat(long sentNs, int health) {}

        @Override
        public void onControl(ControlMessage message) throws LinkException {
            heard.add(message);
            ControlCodec.send(channel, new Promoted(((VmDied) message).committedEpoch(), 1));
        }
    }

    private class Notes implements PeerSession.Listener {
        @Override
        public void established(FrameChannel channel, SessionReply reply) {
            sessions.add(channel);
        }

        @Override
        public void acknowledged(long epoch, long appliedEpoch, long journalBytes, long journalEpochs, long nowNs) {}

        @Override
        public void message(ControlMessage message) {
            answers.add(message);
        }

        @Override
        public void ended(LockstepException cause) {}
    }

    private ProtectionSettings settings() {
        return TestSettings.of(1 << 10, 1 << 20, directory);
    }
}
