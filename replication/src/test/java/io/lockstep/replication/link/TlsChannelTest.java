package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.link.LinkException.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TlsChannelTest {
    private LinkPair pair;

    @BeforeEach
    void connect() throws Exception {
        pair = new LinkPair();
    }

    @AfterEach
    void close() {
        pair.close();
    }

    @Test
    void shouldKnowTheOtherSideWhenConnected() {
        assertThat(pair.client.peerFingerprint())
                .isEqualTo(TestIdentities.peer().fingerprint());
        assertThat(pair.server.peerFingerprint())
                .isEqualTo(TestIdentities.primary().fingerprint());
    }

    @Test
    void shouldDeliverMessagesOfEverySizeInOrderWhenSentBothWays() throws Exception {
        int[] sizes = {0, 1, 100, 4096, 16_360, 16_384, 262_144, FrameLayout.MESSAGE_BYTES_MAX - 64, 3};
        exchange(pair.client, pair.server, sizes);
        exchange(pair.server, pair.client, sizes);
    }

    private static void exchange(FrameChannel from, FrameChannel to, int[] sizes) throws Exception {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try {
            Future<?> sending = executor.submit(() -> {
                for (int i = 0; i < sizes.length; i++) {
                    UnsafeBuffer message = TestMessages.batch(i, sizes[i]);
                    from.send(message, 0, message.capacity());
                }
                from.flush();
                return null;
            });
            for (int i = 0; i < sizes.length; i++) {
                UnsafeBuffer expected = TestMessages.batch(i, sizes[i]);
                boolean came = to.receive(
                        (buffer, offset, length) -> assertThat(new UnsafeBuffer(buffer, offset, length))
                                .isEqualTo(expected),
                        10_000);
                assertThat(came).isTrue();
            }
            sending.get(10, TimeUnit.SECONDS);
        } finally {
            executor.shutdownNow();
        }
    }

    @Test
    void shouldReturnFalseWhenNothingComesInTime() throws Exception {
        assertThat(pair.server.receive((buffer, offset, length) -> {}, 20)).isFalse();
        assertThat(pair.server.receive((buffer, offset, length) -> {}, 0)).isFalse();
    }

    @Test
    void shouldSaySoWhenThePeerCloses() {
        pair.client.close();
        assertThatThrownBy(() -> pair.server.receive((buffer, offset, length) -> {}, 10_000))
                .isInstanceOfSatisfying(LinkException.class, e -> {
                    assertThat(e.kind()).isEqualTo(Kind.CLOSED);
                    assertThat(e.code()).isEqualTo("link-closed");
                    assertThat(e).hasMessage("peer " + pair.server.remote() + " closed the connection");
                });
        UnsafeBuffer message = TestMessages.batch(1, 1);
        assertThatThrownBy(() -> pair.server.send(message, 0, message.capacity()))
                .hasMessage("the connection to " + pair.server.remote() + " is closed: peer " + pair.server.remote()
                        + " closed the connection");
    }

    @Test
    void shouldKeepFramesWholeAndSequencedWhenFourThreadsSend() throws Exception {
        int threads = 4;
        int each = 200;
        ExecutorService executor = Executors.newFixedThreadPool(threads);
        try {
            List<Future<?>> sending = new ArrayList<>();
            for (int thread = 0; thread < threads; thread++) {
                int first = thread * each;
                sending.add(executor.submit(() -> {
                    for (int i = first; i < first + each; i++) {
                        UnsafeBuffer message = TestMessages.batch(i, 10 + 37 * (i % 700));
                        pair.client.send(message, 0, message.capacity());
                        if (i % 7 == 0) {
                            pair.client.flush();
                        }
                    }
                    pair.client.flush();
                    return null;
                }));
            }
            boolean[] seen = new boolean[threads * each];
            for (int i = 0; i < seen.length; i++) {
                assertThat(pair.server.receive(
                                (buffer, offset, length) -> {
                                    int epoch = (int) TestMessages.epochOf(buffer, offset);
                                    assertThat(seen[epoch]).isFalse();
                                    seen[epoch] = true;
                                    assertThat(new UnsafeBuffer(buffer, offset, length))
                                            .isEqualTo(TestMessages.batch(epoch, 10 + 37 * (epoch % 700)));
                                },
                                10_000))
                        .isTrue();
            }
            for (Future<?> future : sending) {
                future.get(10, TimeUnit.SECONDS);
            }
            assertThat(seen).doesNotContain(false);
        } finally {
            executor.shutdownNow();
        }
    }
}
