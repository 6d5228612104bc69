package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(120)
class LinkAuthenticationTest {
    private final Identity primary = TestIdentities.primary();
    private final Identity peer = TestIdentities.peer();
    private final Identity stranger = TestIdentities.stranger();
    private final BlockingQueue<TlsChannel> accepted = new LinkedBlockingQueue<>();
    private LinkListener listener;

    @BeforeEach
    void listen() throws Exception {
        listener = LinkPair.listen(peer, Set.of(primary.fingerprint()), LinkPair.TIMEOUTS, accepted);
    }

    @AfterEach
    void close() {
        accepted.forEach(TlsChannel::close);
        listener.close();
    }

    /** Whatever came before: the right peer still gets in, and nobody else has. */
    private void assertOnlyTheRightPeerGetsIn() throws Exception {
        await().atMost(Duration.ofSeconds(30)).ignoreExceptions().until(() -> {
            TlsChannel channel =
                    new LinkDialer(primary, LinkPair.TIMEOUTS).dial(listener.address(), peer.fingerprint());
            UnsafeBuffer message = TestMessages.batch(5, 10);
            channel.send(message, 0, message.capacity());
            channel.flush();
            TlsChannel other = accepted.poll(5, TimeUnit.SECONDS);
            assertThat(other).isNotNull();
            assertThat(other.peerFingerprint()).isEqualTo(primary.fingerprint());
            boolean came = other.receive((buffer, offset, length) -> {}, 5_000);
            other.close();
            channel.close();
            return came;
        });
        assertThat(accepted).isEmpty();
    }

    private SSLSocket rawClient(KeyManager[] keys, String protocol) throws Exception {
        SSLContext context = SSLContext.getInstance(protocol);
        context.init(keys, new TrustManager[] {new PinnedTrust(Set.of(peer.fingerprint()))}, new SecureRandom());
        SSLSocket socket = (SSLSocket) context.getSocketFactory()
                .createSocket(
                        listener.address().getAddress(), listener.address().getPort());
        socket.setSoTimeout(10_000);
        socket.setEnabledProtocols(new String[] {protocol});
        return socket;
    }

    @Test
    void shouldRefuseWhenTheListenerIsNotTheExpectedPeer() throws Exception {
        assertThatThrownBy(() ->
                        new LinkDialer(primary, LinkPair.TIMEOUTS).dial(listener.address(), stranger.fingerprint()))
                .isInstanceOfSatisfying(LinkException.class, e -> {
                    assertThat(e.kind()).isEqualTo(Kind.AUTHENTICATION);
                    assertThat(e.code()).isEqualTo("peer-identity");
                })
                .hasMessage("peer 127.0.0.1:" + listener.address().getPort() + " has certificate "
                        + peer.fingerprint() + ", allowed: " + stranger.fingerprint()
                        + ". If this is the right host, put what 'lockstep identity' prints there into this host's"
                        + " configuration; if not, somebody else answers at its address.");
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldTellTheDialerWhenItsCertificateIsRefused() throws Exception {
        TlsChannel channel = new LinkDialer(stranger, LinkPair.TIMEOUTS).dial(listener.address(), peer.fingerprint());
        assertThatThrownBy(() -> channel.receive((buffer, offset, length) -> {}, 10_000))
                .isInstanceOfSatisfying(LinkException.class, e -> {
                    assertThat(e.kind()).isEqualTo(Kind.AUTHENTICATION);
                    assertThat(e.code()).isEqualTo("peer-refused-identity");
                })
                .hasMessage("peer " + channel.remote() + " refused this host's certificate " + stranger.fingerprint()
                        + ": Received fatal alert: certificate_unknown. Add this fingerprint to the peer's"
                        + " configuration.");
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldRefuseAClientWithoutACertificate() throws Exception {
        try (SSLSocket socket = rawClient(new KeyManager[0], "TLSv1.3")) {
            assertThatThrownBy(() -> socket.getInputStream().read()).isInstanceOf(IOException.class);
        }
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldRefuseAClientOfTls12() throws Exception {
        try (SSLSocket socket = rawClient(new KeyManager[] {new OwnKey(primary)}, "TLSv1.2")) {
            assertThatThrownBy(socket::startHandshake)
                    .isInstanceOf(SSLHandshakeException.class)
                    .hasMessageContaining("protocol_version");
        }
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldRefuseAClientInPlaintext() throws Exception {
        try (Socket socket =
                new Socket(listener.address().getAddress(), listener.address().getPort())) {
            socket.setSoTimeout(10_000);
            socket.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            // An alert may come, then the end.
            assertThat(socket.getInputStream().readAllBytes().length).isLessThan(100);
        }
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldLetOnlyTheRightPeerInWhenTwoThousandStrangersSendRandomBytes() throws Exception {
        SplittableRandom random = new SplittableRandom(99);
        for (int i = 0; i < 2_000; i++) {
            byte[] garbage = new byte[1 + random.nextInt(600)];
            random.nextBytes(garbage);
            if (i % 2 == 0 && garbage.length > 9) {
                // What looks like a TLS record with a ClientHello goes deeper.
                byte[] start = {22, 3, 1, 0, (byte) (garbage.length - 5), 1, 0, 0, (byte) (garbage.length - 9)};
                System.arraycopy(start, 0, garbage, 0, start.length);
            }
            try (Socket socket = new Socket(
                    listener.address().getAddress(), listener.address().getPort())) {
                OutputStream out = socket.getOutputStream();
                out.write(garbage);
                out.flush();
            } catch (IOException e) {
                // Refused while it was still sending: as it should be.
                assertThat(listener.address().getPort()).isPositive();
            }
        }
        assertOnlyTheRightPeerGetsIn();
    }

    @Test
    void shouldGiveUpAHandshakeThatNeverEnds() throws Exception {
        listener.close();
        listener = LinkPair.listen(peer, Set.of(primary.fingerprint()), new LinkTimeouts(5_000, 200, 5_000), accepted);
        try (Socket socket =
                new Socket(listener.address().getAddress(), listener.address().getPort())) {
            socket.setSoTimeout(10_000);
            assertThat(socket.getInputStream().read()).isEqualTo(-1);
        }
    }

    @Test
    void shouldSaySoWhenTheListenerNeverAnswers() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
            InetSocketAddress address = new InetSocketAddress(silent.getInetAddress(), silent.getLocalPort());
            assertThatThrownBy(() -> new LinkDialer(primary, new LinkTimeouts(1_000, 200, 1_000))
                            .dial(address, peer.fingerprint()))
                    .isInstanceOfSatisfying(LinkException.class, e -> {
                        assertThat(e.kind()).isEqualTo(Kind.TIMEOUT);
                        assertThat(e.code()).isEqualTo("link-handshake-timeout");
                    })
                    .hasMessage("no TLS handshake with localhost:" + silent.getLocalPort() + " within 200 ms");
        }
    }

    @Test
    void shouldSayThatThePeerIsUnreachableWhenNobodyListens() throws Exception {
        int port = listener.address().getPort();
        listener.close();
        assertThatThrownBy(() -> new LinkDialer(primary, LinkPair.TIMEOUTS)
                        .dial(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), peer.fingerprint()))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-unreachable"))
                .hasMessage("peer localhost:" + port
                        + " cannot be reached: Connection refused. See that lockstep runs"
                        + " there, that it listens on this port, and that no firewall is between.");
    }

    @Test
    void shouldSayThatThePeerIsUnreachableWhenItsNameIsUnknown() {
        assertThatThrownBy(() -> new LinkDialer(primary, LinkPair.TIMEOUTS)
                        .dial(InetSocketAddress.createUnresolved("no-such-host.invalid", 1), peer.fingerprint()))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("peer-unreachable"))
                .hasMessage(
                        "no address is known for peer no-such-host.invalid. Correct its address in [peers], or the name"
                                + " service.");
    }

    @Test
    void shouldSaySoWhenThePortIsTaken() {
        assertThatThrownBy(() -> new LinkListener(
                        listener.address(), peer, Set::of, LinkPair.TIMEOUTS, channel -> channel.close()))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("link-port"))
                .hasMessageStartingWith(
                        "cannot listen on 127.0.0.1:" + listener.address().getPort() + ": Address already in use");
    }

    @Test
    void shouldCountHowLongAConnectionWaitsForItsThreadAndNoneWhileNobodyConnects() throws Exception {
        AtomicLong nowNs = new AtomicLong();
        AtomicLong stepNs = new AtomicLong();
        InetSocketAddress any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        try (LinkListener watched = new LinkListener(
                any,
                peer,
                Set::of,
                LinkPair.TIMEOUTS,
                channel -> channel.close(),
                () -> nowNs.addAndGet(stepNs.get()))) {
            DutyCycle rounds = watched.rounds();
            for (int i = 0; i < 2; i++) {
                nowNs.addAndGet(10 * DutyCycle.STALL_NS);
                connectAndEnd(watched.address());
                await().until(() -> rounds.ageNs(Long.MAX_VALUE) == 0);
            }
            assertThat(rounds.stalls()).isZero();

            stepNs.set(DutyCycle.STALL_NS + 1);
            connectAndEnd(watched.address());
            await().until(() -> rounds.stalls() > 0);
        }
    }

    /** Returns when the other side has had it in its hands. */
    private static void connectAndEnd(InetSocketAddress address) throws IOException {
        try (SocketChannel channel = SocketChannel.open(address)) {
            channel.shutdownOutput();
            ByteBuffer alert = ByteBuffer.allocate(1024);
            while (channel.read(alert.clear()) >= 0) {}
        }
    }

    @Test
    void shouldProveBothIdentitiesAnewWhenTheSamePeerComesBack() throws Exception {
        for (int i = 0; i < 3; i++) {
            assertOnlyTheRightPeerGetsIn();
        }
    }
}
