package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ControlCodec;
import io.lockstep.replication.link.ControlMessage;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.FrameChannel;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkListener;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.link.ProtocolVersion;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.link.TestHello;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Over a real link, to a peer that answers as it is told to. */
class LastWordsTest {
    private static final long WAIT_MS = 20_000;
    private static final int HANDED_OVER = 41;
    private static final int DIED = 17;

    @TempDir
    Path directory;

    private final BlockingQueue<SessionHello> hellos = new LinkedBlockingQueue<>();
    private final BlockingQueue<ControlMessage> words = new LinkedBlockingQueue<>();
    /** What the peer says after the words, and how many of them it leaves unanswered before. */
    private volatile @Nullable ControlMessage afterWords;

    private final AtomicInteger silentAnswers = new AtomicInteger();
    private Identity primary;
    private Identity peer;

    @BeforeEach
    void createIdentities() throws LockstepException {
        primary = Identity.openOrCreate(directory.resolve("primary"));
        peer = Identity.openOrCreate(directory.resolve("peer"));
    }

    @Test
    void shouldHaveThePeerRunTheVmWhenItWasFrozenAtThePeersEpoch() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, HANDED_OVER)) {
            words(listener, HANDED_OVER).say();
        }

        assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS))
                .isEqualTo(new VmDied(HANDED_OVER, "frozen at epoch 41 for its switchover, and ended by it"));
        assertThat(hellos.take()).isEqualTo(TestHello.micro());
    }

    @Test
    void shouldReleaseTheReplicaWhenThePeerHoldsAnotherEpochThanTheFrozenOne() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, HANDED_OVER + 1)) {
            words(listener, HANDED_OVER).say();
        }

        assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS))
                .isEqualTo(new Released(
                        false, "QEMU ended while no agent ran on its host: what it did after epoch 42 is lost"));
    }

    @Test
    void shouldReleaseTheReplicaWhenTheVmDiedUnseen() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, 7)) {
            words(listener, -1).say();
        }

        assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS))
                .isEqualTo(new Released(
                        false, "QEMU ended while no agent ran on its host: what it did after epoch 7 is lost"));
    }

    @Test
    void shouldHaveThePeerForgetWhenItHoldsNothingOfTheVm() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.FULL, -1)) {
            words(listener, HANDED_OVER).say();
        }

        assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS))
                .isEqualTo(new Released(true, "QEMU ended, and there is no replica of it"));
    }

    @Test
    void shouldSayNothingWhenThePeerRunsTheVmAlready() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.PROMOTED, HANDED_OVER)) {
            assertThat(words(listener, HANDED_OVER).say()).isEqualTo("nothing: it runs the VM already");
        }

        assertThat(words).isEmpty();
    }

    @Test
    void shouldGiveUpWhenThePeerRefuses() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.REFUSED, -1)) {
            assertThatThrownBy(() -> words(listener, HANDED_OVER).say())
                    .isInstanceOf(LockstepException.class)
                    .hasMessage("because");
        }
    }

    @Test
    void shouldSayItAgainUntilHeardWhenThePeerCannotBeReachedAtFirst() throws Exception {
        CountDownLatch heard = new CountDownLatch(1);
        AtomicInteger attempts = new AtomicInteger();
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, 7)) {
            LastWords words = LastWords.unseen(TestHello.micro(), -1, () -> {
                if (attempts.incrementAndGet() == 1) {
                    throw new LockstepException("peer-unreachable", "no route");
                }
                return dial(listener);
            });
            words.start(() -> true, heard::countDown);

            assertThat(heard.await(WAIT_MS, TimeUnit.MILLISECONDS)).isTrue();
        }
        assertThat(words).hasSize(1);
    }

    @Test
    void shouldHaveThePeerRunTheVmWhenItDiedWithoutASession() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, DIED + 1)) {
            unheard(listener, new VmDied(DIED, "killed"), () -> true).say();
        }

        assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS)).isEqualTo(new VmDied(DIED, "killed"));
    }

    @Test
    void shouldReleaseTheReplicaWhenThePeerIsOlderThanWhatWasSeenOrTheVmDiedLongAgo() throws Exception {
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, DIED - 1)) {
            unheard(listener, new VmDied(DIED, "killed"), () -> true).say();
        }
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, DIED)) {
            unheard(listener, new VmDied(DIED, "killed"), () -> false).say();
        }

        for (int epoch = DIED - 1; epoch <= DIED; epoch++) {
            assertThat(words.poll(WAIT_MS, TimeUnit.MILLISECONDS))
                    .isEqualTo(new Released(
                            false,
                            "QEMU died while the peer could not be told: what it did after epoch " + epoch
                                    + " is lost"));
        }
    }

    @Test
    void shouldSayItAgainUntilThePeerRunsTheVm() throws Exception {
        CountDownLatch heard = new CountDownLatch(1);
        afterWords = new Promoted(DIED, 1);
        silentAnswers.set(1);
        try (LinkListener listener = peerThatAnswers(HelloStatus.RESUME, DIED)) {
            unheard(listener, new VmDied(DIED, "killed"), () -> true).start(() -> true, heard::countDown);

            assertThat(heard.await(WAIT_MS, TimeUnit.MILLISECONDS)).isTrue();
        }
        assertThat(words).hasSize(2).containsOnly(new VmDied(DIED, "killed"));
    }

    @Test
    void shouldKeepTheHelloAndTakeTheVmBackWhenTheAgentFindsItRunning() throws Exception {
        ProtectionStore store = new ProtectionStore(directory.resolve("store"));
        ProtectionStore.Entry entry = new ProtectionStore.Entry(
                "vm", new UUID(1, 2), 3, 4, "peer", 25, "auto", "lockstep", false, 0, -1, TestHello.micro());

        store.put(entry.handedOver(HANDED_OVER));

        assertThat(store.all()).containsExactly(entry.handedOver(HANDED_OVER));
        assertThat(store.all().get(0).restarted().handedOverEpoch()).isEqualTo(-1);
    }

    private LastWords words(LinkListener listener, long handedOverEpoch) {
        return LastWords.unseen(TestHello.micro(), handedOverEpoch, () -> dial(listener));
    }

    private LastWords unheard(LinkListener listener, VmDied died, BooleanSupplier stillTrue) {
        return LastWords.unheard(TestHello.micro(), died, stillTrue, () -> dial(listener));
    }

    private FrameChannel dial(LinkListener listener) throws LockstepException {
        return new LinkDialer(primary, LinkTimeouts.DEFAULT).dial(listener.address(), peer.fingerprint());
    }

    private LinkListener peerThatAnswers(HelloStatus status, long committedEpoch) throws LockstepException {
        SessionReply reply = new SessionReply(
                ProtocolVersion.PROTOCOL_VERSION,
                status,
                committedEpoch,
                AckLevel.MEMORY,
                0,
                0,
                status == HelloStatus.REFUSED ? "no" : "",
                status == HelloStatus.REFUSED ? "because" : "");
        return new LinkListener(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                peer,
                () -> Set.of(primary.fingerprint()),
                LinkTimeouts.DEFAULT,
                channel -> new Thread(() -> answer(channel, reply), "peer").start());
    }

    private void answer(FrameChannel channel, SessionReply reply) {
        try (channel) {
            channel.receive((b, o, n) -> hellos.add(HelloCodec.decodeHello(b, o, n)), WAIT_MS);
            HelloCodec.send(channel, reply);
            channel.receive((b, o, n) -> words.add(ControlCodec.decode(b, o, n)), WAIT_MS);
            ControlMessage said = afterWords;
            if (said != null && silentAnswers.getAndDecrement() <= 0) {
                ControlCodec.send(channel, said);
            }
        } catch (LockstepException e) {
            // The other end had nothing to say.
        }
    }
}
