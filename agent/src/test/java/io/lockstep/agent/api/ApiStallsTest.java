package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.view.AgentView;
import io.lockstep.replication.DutyCycle;
import java.io.IOException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The API counts what stands still in it. */
@Timeout(60)
class ApiStallsTest {
    /** More than there are threads. */
    private static final int CLIENTS = 20;

    @TempDir
    Path root;

    @Test
    void shouldCountAnAnswerThatTakesLongAndTheWaitForAThread() throws Exception {
        AtomicReference<CountDownLatch> released = new AtomicReference<>(new CountDownLatch(0));
        FakeOperations operations = new FakeOperations() {
            @Override
            public AgentView agent() {
                awaitUninterruptibly(released.get());
                return super.agent();
            }
        };
        Path socket = root.resolve("agent.sock");
        try (ApiServer server = ApiServer.start(operations, List::of, socket, ApiServer.Options.NONE)) {
            assertThat(server).isNotNull();
            AgentClient client = new AgentClient(socket);
            String metrics;
            long heldNs = DutyCycle.STALL_NS;
            do {
                // Twice as long as the time before: on a busy machine the last of them may come into the queue late.
                heldNs *= 2;
                assertThat(heldNs).as("both are counted").isLessThan(20_000_000_000L);
                hold(socket, released, heldNs);
                metrics = client.get("/metrics").body();
            } while (stalls(metrics, "api") == 0 || stalls(metrics, "api-queue") == 0);
        }
    }

    /** More requests than there are threads, each of which takes as long. */
    private static void hold(Path socket, AtomicReference<CountDownLatch> released, long ns) throws IOException {
        CountDownLatch latch = new CountDownLatch(1);
        released.set(latch);
        List<SocketChannel> clients = new ArrayList<>();
        try {
            for (int i = 0; i < CLIENTS; i++) {
                SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
                clients.add(client);
                client.connect(UnixDomainSocketAddress.of(socket));
                client.write(ByteBuffer.wrap(
                        "GET /v1/agent HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
            }
            long sentNs = System.nanoTime();
            await().atMost(Duration.ofSeconds(30)).until(() -> System.nanoTime() - sentNs > ns);
            latch.countDown();
            for (SocketChannel client : clients) {
                client.read(ByteBuffer.allocate(1));
            }
        } finally {
            latch.countDown();
            for (SocketChannel client : clients) {
                client.close();
            }
        }
    }

    private static int stalls(String metrics, String cycle) {
        String name = "lockstep_duty_cycle_stalls_total{cycle=\"" + cycle + "\"} ";
        return metrics.lines()
                .filter(line -> line.startsWith(name))
                .mapToInt(line -> Integer.parseInt(line.substring(name.length())))
                .findFirst()
                .orElseThrow();
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void shouldCountARoundOfEventsThatTakesLong() throws Exception {
        DutyCycle rounds = DutyCycle.idle();
        Thread test = Thread.currentThread();
        AtomicBoolean held = new AtomicBoolean();
        Response slow = answeringAll(Response.class, (proxy, method, arguments) -> {
            if (method.getName().equals("write")) {
                if (Thread.currentThread() != test && !held.getAndSet(true)) {
                    await().until(() -> rounds.ageNs(System.nanoTime()) > DutyCycle.STALL_NS);
                }
                ((Callback) arguments[2]).succeeded();
            }
            return null;
        });
        try (EventStreams streams = new EventStreams(new EventLog(64, 1_000), rounds)) {
            streams.add(
                    answeringAll(Request.class, (proxy, method, arguments) -> null),
                    slow,
                    Callback.NOOP,
                    Pseudonyms.NONE,
                    false);
            await().atMost(Duration.ofSeconds(20)).until(() -> rounds.stalls() > 0);
        }
    }

    /** An object that answers every call with another such one, and with empty headers. */
    private static <T> T answeringAll(Class<T> type, InvocationHandler first) {
        return type.cast(
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
                    Object answer = first.invoke(proxy, method, arguments);
                    Class<?> result = method.getReturnType();
                    if (answer != null || !result.isInterface()) {
                        return answer;
                    }
                    return result.isAssignableFrom(HttpFields.Mutable.class)
                            ? HttpFields.build()
                            : answeringAll(result, first);
                }));
    }
}
