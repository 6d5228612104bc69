package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.link.LinkException.Kind;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.SecureRandom;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An authenticated peer that sends wrong frames over real TLS. */
@Timeout(120)
class TlsStreamFuzzTest {
    private static final int GOOD_FRAMES = 3;

    private final Identity primary = TestIdentities.primary();
    private final Identity peer = TestIdentities.peer();
    private final BlockingQueue<TlsChannel> accepted = new LinkedBlockingQueue<>();
    private final ByteBuffer frames = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
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

    private SSLSocket connect() throws Exception {
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(
                new KeyManager[] {new OwnKey(primary)},
                new TrustManager[] {new PinnedTrust(Set.of(peer.fingerprint()))},
                new SecureRandom());
        SSLSocket socket = (SSLSocket) context.getSocketFactory()
                .createSocket(
                        listener.address().getAddress(), listener.address().getPort());
        socket.setSoTimeout(10_000);
        socket.startHandshake();
        return socket;
    }

    /** Good frames; returns where the last of them begins, and leaves the position at the end. */
    private int goodFrames() {
        FrameWriter writer = new FrameWriter(frames);
        int at = 0;
        int last = 0;
        for (int i = 0; i < GOOD_FRAMES; i++) {
            last = at;
            UnsafeBuffer message = TestMessages.batch(i, 200);
            at = writer.write(at, message, 0, message.capacity());
        }
        frames.limit(at);
        return last;
    }

    /** Sends the frames over a connection of their own; returns how it ended for the receiver, after so many whole messages. */
    private LinkException receiveAll(int whole) throws Exception {
        try (SSLSocket socket = connect()) {
            TlsChannel channel = accepted.poll(10, TimeUnit.SECONDS);
            assertThat(channel).isNotNull();
            socket.getOutputStream().write(frames.array(), 0, frames.limit());
            socket.shutdownOutput();
            for (int i = 0; i < whole; i++) {
                long number = i;
                assertThat(channel.receive(
                                (buffer, offset, length) -> assertThat(TestMessages.epochOf(buffer, offset))
                                        .isEqualTo(number),
                                10_000))
                        .isTrue();
            }
            LinkException[] ended = new LinkException[1];
            assertThatThrownBy(() -> channel.receive((buffer, offset, length) -> {}, 10_000))
                    .isInstanceOfSatisfying(LinkException.class, e -> ended[0] = e);
            assertThatThrownBy(channel::flush).isInstanceOfSatisfying(LinkException.class, e -> assertThat(e.kind())
                    .isEqualTo(Kind.CLOSED));
            return ended[0];
        }
    }

    @Test
    void shouldEndTheConnectionWhenAFrameIsTruncated() throws Exception {
        int last = goodFrames();
        frames.limit(last + 30);
        LinkException ended = receiveAll(GOOD_FRAMES - 1);
        assertThat(ended.code()).isEqualTo("frame-truncated");
        assertThat(ended).hasMessage("the stream ended 30 bytes into frame 2");
    }

    @Test
    void shouldEndTheConnectionWhenAFrameIsOversized() throws Exception {
        int last = goodFrames();
        frames.putInt(last + FrameLayout.LENGTH_OFFSET, Integer.MAX_VALUE);
        assertThat(receiveAll(GOOD_FRAMES - 1).code()).isEqualTo("frame-oversized");
    }

    @Test
    void shouldEndTheConnectionWhenAFrameComesTwice() throws Exception {
        int last = goodFrames();
        int end = frames.limit();
        frames.limit(end + end - last);
        System.arraycopy(frames.array(), last, frames.array(), end, end - last);
        assertThat(receiveAll(GOOD_FRAMES).code()).isEqualTo("frame-sequence");
    }

    @Test
    void shouldEndTheConnectionWhenThePeerCloses() throws Exception {
        goodFrames();
        LinkException ended = receiveAll(GOOD_FRAMES);
        assertThat(ended.kind()).isEqualTo(Kind.CLOSED);
        assertThat(ended.code()).isEqualTo("link-closed");
    }

    @Test
    void shouldEndTheConnectionWhenAByteOfTheLastFrameIsChanged() throws Exception {
        SplittableRandom random = new SplittableRandom(31);
        for (int i = 0; i < 300; i++) {
            int last = goodFrames();
            int at = last + random.nextInt(frames.limit() - last);
            frames.put(at, (byte) (frames.get(at) ^ (1 + random.nextInt(255))));
            assertThat(receiveAll(GOOD_FRAMES - 1).kind()).isEqualTo(Kind.CORRUPT);
        }
    }
}
