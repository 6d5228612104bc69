package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.view.AgentView;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What clients must not do: each is told so as a problem, or loses its connection, and nobody else notices. */
@Timeout(120)
class HostileClientsTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** What one process can have: of 512 connections, as many as it leaves free. */
    private static final int HALF = 256;

    /** Of users whom nobody knows. */
    private static final int FIRST_USER = 47_110;

    /** Requests that hold a thread: fewer than there are. */
    private static final int BUSY = 4;

    private static final String METRICS = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    @TempDir
    Path root;

    private Path socket;
    private ApiServer server;

    @BeforeEach
    void start() throws Exception {
        socket = root.resolve("agent.sock");
        server = ApiServer.start(new FakeOperations(), List::of, socket, ApiServer.Options.NONE);
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private SocketChannel connect() throws IOException {
        SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        channel.connect(UnixDomainSocketAddress.of(socket));
        return channel;
    }

    private static void send(SocketChannel channel, String text) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    private static String answer(SocketChannel channel) throws IOException {
        StringBuilder text = new StringBuilder();
        ByteBuffer buffer = ByteBuffer.allocate(4096);
        while (channel.read(buffer) >= 0) {
            text.append(new String(buffer.array(), 0, buffer.position(), StandardCharsets.UTF_8));
            buffer.clear();
        }
        return text.toString();
    }

    private void assertProblem(String request, int status, String code) throws IOException {
        try (SocketChannel channel = connect()) {
            send(channel, request);
            String answer = answer(channel);
            assertThat(answer).startsWith("HTTP/1.1 " + status + " ");
            assertThat(answer.toLowerCase(java.util.Locale.ROOT)).contains("content-type: application/problem+json");
            JsonNode problem = MAPPER.readTree(answer.substring(answer.indexOf("\r\n\r\n") + 4));
            assertThat(problem.path("type").asText()).isEqualTo("urn:lockstep:" + code);
            assertThat(problem.path("status").asInt()).isEqualTo(status);
            assertThat(problem.path("detail").asText()).endsWith(".");
        }
    }

    @Test
    void shouldAnswerMalformedAndTooLargeRequestsWithProblems() throws Exception {
        assertProblem("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505, "bad-request");
        assertProblem("\u0001\u0002 nonsense\r\n\r\n", 400, "bad-request");
        assertProblem("GET /v1/agent HTTP/1.1\r\n\r\n", 400, "bad-request");
        String long9k = "x".repeat(9 << 10);
        assertProblem("GET /v1/agent HTTP/1.1\r\nHost: x\r\nX-Long: " + long9k + "\r\n\r\n", 431, "request-too-large");
        assertProblem("GET /v1/" + long9k + " HTTP/1.1\r\nHost: x\r\n\r\n", 414, "request-too-large");
        assertProblem(
                "POST /v1/vms/web1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n",
                413,
                "request-too-large");
        assertProblem(
                "POST /v1/vms/web1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "5000\r\n" + "y".repeat(0x5000) + "\r\n0\r\n\r\n",
                413,
                "request-too-large");
        assertProblem(
                "PUT /v1/agent HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                405,
                "method-not-allowed");
        assertProblem(
                "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                405,
                "method-not-allowed");
        assertProblem(
                "GET /v1/vms/web1/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, "method-not-allowed");
        assertThat(new AgentClient(socket).get("/v1/agent").ok()).isTrue();
    }

    @Test
    void shouldAnswerAnOldClientThatNamesNoHost() throws Exception {
        try (SocketChannel channel = connect()) {
            send(channel, "GET /v1/agent HTTP/1.0\r\n\r\n");
            assertThat(answer(channel)).startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void shouldServeOthersWhileBodiesDoNotCome() throws Exception {
        // More than there are threads: none of them may wait for a body.
        List<SocketChannel> slow = new ArrayList<>();
        try {
            for (int i = 0; i < 60; i++) {
                SocketChannel channel = connect();
                slow.add(channel);
                send(channel, "POST /v1/vms/web1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
            }
            for (int i = 0; i < 20; i++) {
                assertThat(new AgentClient(socket).get("/v1/agent").ok()).isTrue();
            }
        } finally {
            for (SocketChannel channel : slow) {
                channel.close();
            }
        }
    }

    @Test
    void shouldServeAnotherProcessWhileOneHasAllThatItCanGet() throws Exception {
        List<SocketChannel> hog = new ArrayList<>();
        try {
            for (int i = 0; i < 300; i++) {
                hog.add(connect());
            }
            Map<SocketChannel, String> refused = new HashMap<>();
            await().atMost(Duration.ofSeconds(9)).until(() -> takeAnswers(hog, refused) == 300 - HALF);
            assertThat(refused.values()).allSatisfy(answer -> {
                assertThat(answer).startsWith("HTTP/1.1 503 ").contains("application/problem+json");
                JsonNode problem = MAPPER.readTree(answer.substring(answer.indexOf("\r\n\r\n") + 4));
                assertThat(problem.path("type").asText()).isEqualTo("urn:lockstep:too-many-connections");
                assertThat(problem.path("detail").asText())
                        .isEqualTo(HALF + " connections of process "
                                + ProcessHandle.current().pid() + " >= " + HALF
                                + " that are free for others. Close those that it does not need.");
            });
            Process other = new ProcessBuilder(
                            "curl", "-sS", "--max-time", "20", "--unix-socket", socket.toString(), "http://x/v1/agent")
                    .redirectErrorStream(true)
                    .start();
            String answer = new String(other.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(other.waitFor()).as(answer).isZero();
            assertThat(MAPPER.readTree(answer).has("version")).as(answer).isTrue();
        } finally {
            for (SocketChannel channel : hog) {
                channel.close();
            }
        }
    }

    @Test
    void shouldServeAnotherAddressWhileOneHasAllThatItCanGet() throws Exception {
        InetSocketAddress address = freeAddress();
        server.close();
        server = ApiServer.start(new FakeOperations(), List::of, socket, new ApiServer.Options(null, false, address));
        List<SocketChannel> hog = new ArrayList<>();
        try {
            for (int i = 0; i < 300; i++) {
                hog.add(SocketChannel.open(address));
            }
            Map<SocketChannel, String> refused = new HashMap<>();
            await().atMost(Duration.ofSeconds(9)).until(() -> takeAnswers(hog, refused) == 300 - HALF);
            assertThat(refused.values()).allSatisfy(answer -> assertThat(answer)
                    .startsWith("HTTP/1.1 503 ")
                    .contains("urn:lockstep:too-many-connections")
                    .contains(HALF + " connections of address 127.0.0.1 >= " + HALF
                            + " that are free for others. Close those that it does not need."));
            try (SocketChannel other = SocketChannel.open()) {
                other.bind(new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 2}), 0));
                other.connect(address);
                send(other, METRICS);
                assertThat(answer(other)).startsWith("HTTP/1.1 200 ").contains("lockstep_protected");
            }
        } finally {
            for (SocketChannel channel : hog) {
                channel.close();
            }
        }
    }

    @Test
    void shouldCountAddressesThatOneHostHasAsOne() throws Exception {
        assertThat(ConnectionBound.network(InetAddress.getByName("192.0.2.7"))).isEqualTo("192.0.2.7");
        assertThat(ConnectionBound.network(InetAddress.getByName("2001:db8:1:2:3:4:5:6")))
                .isEqualTo("2001:db8:1:2::/64");
        assertThat(ConnectionBound.network(InetAddress.getByName("fe80::3"))).isEqualTo("fe80:0:0:0:0:0:0:3");
        byte[] own = new byte[16];
        own[15] = 1;
        assertThat(ConnectionBound.network(InetAddress.getByAddress(own))).isEqualTo("0:0:0:0:0:0:0:1");
    }

    @Test
    void shouldGiveThePlacesOfClientsThatHungUpToOthersWhileTheirRequestsGoOn() throws Exception {
        CountDownLatch released = new CountDownLatch(1);
        CountDownLatch served = new CountDownLatch(BUSY);
        server.close();
        server = ApiServer.start(
                new FakeOperations() {
                    @Override
                    public AgentView agent() {
                        served.countDown();
                        try {
                            released.await();
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                        return super.agent();
                    }
                },
                List::of,
                socket,
                ApiServer.Options.NONE);
        List<SocketChannel> hog = new ArrayList<>();
        try {
            for (int i = 0; i < BUSY; i++) {
                SocketChannel busy = connect();
                hog.add(busy);
                send(busy, "GET /v1/agent HTTP/1.1\r\nHost: x\r\n\r\n");
            }
            assertThat(served.await(20, TimeUnit.SECONDS)).isTrue();
            for (int i = BUSY; i < 300; i++) {
                hog.add(connect());
            }
            Map<SocketChannel, String> refused = new HashMap<>();
            await().atMost(Duration.ofSeconds(9)).until(() -> takeAnswers(hog, refused) == 300 - HALF);
            for (int i = 0; i < BUSY; i++) {
                hog.get(i).close();
            }
            for (int i = 0; i < BUSY; i++) {
                SocketChannel next = connect();
                hog.add(next);
                send(next, "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n");
                ByteBuffer begin = ByteBuffer.allocate(12);
                while (begin.hasRemaining() && next.read(begin) >= 0) {}
                assertThat(new String(begin.array(), StandardCharsets.US_ASCII)).isEqualTo("HTTP/1.1 200");
            }
        } finally {
            released.countDown();
            for (SocketChannel channel : hog) {
                channel.close();
            }
        }
    }

    @Test
    void shouldServeOtherUsersAndRootWhileOneUserHasManyProcesses() throws Exception {
        assumeTrue(ProcessHandle.current().info().user().orElse("").equals("root"), "root may be other users");
        Files.setPosixFilePermissions(root, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path everybody = root.resolve("agent-ro.sock");
        server.close();
        server = ApiServer.start(new FakeOperations(), List::of, socket, new ApiServer.Options(everybody, false, null));
        List<Process> hogs = new ArrayList<>();
        try {
            for (int i = 0; i < 3; i++) {
                hogs.add(hog(everybody, FIRST_USER));
            }
            assertThat(agent(everybody, FIRST_USER))
                    .contains("urn:lockstep:too-many-connections")
                    .contains("224 connections of user " + FIRST_USER
                            + " >= 224 that are free for others. Close those that he does not need.");
            assertThat(agent(everybody, FIRST_USER + 1)).contains("\"version\"");
            for (int i = 1; i < 8; i++) {
                hogs.add(hog(everybody, FIRST_USER + i));
                hogs.add(hog(everybody, FIRST_USER + i));
            }
            assertThat(agent(everybody, 0)).contains("\"version\"");
            assertThat(agent(socket, 0)).contains("\"version\"");
        } finally {
            hogs.forEach(Process::destroyForcibly);
        }
    }

    private static InetSocketAddress freeAddress() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return new InetSocketAddress(InetAddress.getLoopbackAddress(), probe.getLocalPort());
        }
    }

    /** A process of that user's that holds a hundred connections, or has tried to. */
    private static Process hog(Path socket, int user) throws IOException {
        Process process = as(
                user,
                "perl",
                "-MIO::Socket::UNIX",
                "-e",
                "for (1..100) { push @c, IO::Socket::UNIX->new(Peer => $ARGV[0]) } $| = 1; print qq(ready\\n); <STDIN>",
                socket.toString());
        assertThat(new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))
                        .readLine())
                .isEqualTo("ready");
        return process;
    }

    private static String agent(Path socket, int user) throws Exception {
        Process curl =
                as(user, "curl", "-sS", "--max-time", "20", "--unix-socket", socket.toString(), "http://x/v1/agent");
        String answer = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(curl.waitFor()).as(answer).isZero();
        return answer;
    }

    private static Process as(int user, String... command) throws IOException {
        List<String> line =
                new ArrayList<>(List.of("setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups", "--"));
        line.addAll(List.of(command));
        return new ProcessBuilder(line)
                .directory(new File("/"))
                .redirectErrorStream(true)
                .start();
    }

    /** Reads what came to those that were answered; how many there are by now. */
    private static int takeAnswers(List<SocketChannel> all, Map<SocketChannel, String> answers) throws IOException {
        for (SocketChannel channel : all) {
            if (!answers.containsKey(channel)) {
                channel.configureBlocking(false);
                ByteBuffer buffer = ByteBuffer.allocate(4096);
                if (channel.read(buffer) > 0) {
                    answers.put(channel, new String(buffer.array(), 0, buffer.position(), StandardCharsets.UTF_8));
                }
            }
        }
        return answers.size();
    }

    @Test
    void shouldEndAConnectionWhoseRequestNeverEnds() throws Exception {
        try (SocketChannel channel = connect()) {
            send(channel, "GET /v1/agent HTTP/1.1\r\nHost: x\r\n");
            boolean ended = false;
            // Each byte begins the idle timeout anew; the whole request has 20 seconds.
            for (int i = 0; i < 100 && !ended; i++) {
                try {
                    send(channel, "X");
                    Thread.sleep(500);
                } catch (IOException e) {
                    ended = true;
                }
            }
            assertThat(ended).isTrue();
        }
    }
}
