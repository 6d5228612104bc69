package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.FakeOperations;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** From whose processor time a request is taken, by the socket that it really comes in at. */
@Timeout(60)
class ApiBudgetTest {
    private static final String REQUEST = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    @TempDir
    Path root;

    /** Tells how often it was asked. */
    private static final class Counted extends Throttle {
        private int booked;
        private int done;

        Counted() {
            super(Budgets.READ_SHARE, () -> 0);
        }

        @Override
        synchronized long book(long nowNs, Client client) {
            booked++;
            return super.book(nowNs, client);
        }

        @Override
        synchronized void done(long nowNs, long costNs, Client client) {
            done++;
            super.done(nowNs, costNs, client);
        }

        synchronized String counts() {
            return booked + " booked, " + done + " done";
        }
    }

    @Test
    void shouldTakeEachRequestFromTheBudgetOfItsOwnSocket() throws Exception {
        Path socket = root.resolve("agent.sock");
        Path readOnly = root.resolve("agent-ro.sock");
        InetSocketAddress metrics;
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            metrics = new InetSocketAddress(probe.getInetAddress(), probe.getLocalPort());
        }
        List<SocketAddress> addresses =
                List.of(UnixDomainSocketAddress.of(socket), UnixDomainSocketAddress.of(readOnly), metrics);
        List<Counted> budgets = List.of(new Counted(), new Counted(), new Counted());
        try (ApiServer server = ApiServer.start(
                new FakeOperations(),
                List::of,
                socket,
                new ApiServer.Options(readOnly, false, metrics),
                overhead -> new Budgets(budgets.get(0), budgets.get(1), budgets.get(2)))) {
            assertThat(server).isNotNull();
            for (int asked = 0; asked < addresses.size(); asked++) {
                for (int i = 0; i <= asked; i++) {
                    assertThat(answer(addresses.get(asked))).startsWith("HTTP/1.1 200 ");
                }
                // The answer goes out before its cost is known.
                String expected = (asked + 1) + " booked, " + (asked + 1) + " done";
                Counted budget = budgets.get(asked);
                await().atMost(20, TimeUnit.SECONDS).until(() -> budget.counts().equals(expected));
            }
            assertThat(budgets.stream().map(Counted::counts))
                    .containsExactly("1 booked, 1 done", "2 booked, 2 done", "3 booked, 3 done");
        }
    }

    @Test
    void shouldTakeMalformedRequestsFromTheBudgetToo() throws Exception {
        Path socket = root.resolve("agent.sock");
        Counted budget = new Counted();
        try (ApiServer server = ApiServer.start(
                new FakeOperations(),
                List::of,
                socket,
                ApiServer.Options.NONE,
                overhead -> new Budgets(budget, new Counted(), new Counted()))) {
            assertThat(server).isNotNull();
            SocketAddress address = UnixDomainSocketAddress.of(socket);
            assertThat(answer(address, "\u0001\u0002 no request\r\n\r\n")).startsWith("HTTP/1.1 400 ");
            String huge = "GET /" + "x".repeat(2 * ApiServer.HEADER_BYTES_MAX) + " HTTP/1.1\r\nHost: x\r\n\r\n";
            assertThat(answer(address, huge)).startsWith("HTTP/1.1 414 ");
            String large =
                    "POST /v1/vms/x/protect HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\nConnection: close\r\n\r\n";
            assertThat(answer(address, large)).startsWith("HTTP/1.1 413 ");
            await().atMost(20, TimeUnit.SECONDS).until(() -> budget.counts().equals("3 booked, 3 done"));
        }
    }

    private static String answer(SocketAddress address) throws IOException {
        return answer(address, REQUEST);
    }

    private static String answer(SocketAddress address, String request) throws IOException {
        try (SocketChannel channel = SocketChannel.open(address)) {
            channel.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            StringBuilder text = new StringBuilder();
            ByteBuffer buffer = ByteBuffer.allocate(1 << 14);
            while (channel.read(buffer) >= 0) {
                text.append(StandardCharsets.UTF_8.decode(buffer.flip()));
                buffer.clear();
            }
            return text.toString();
        }
    }
}
