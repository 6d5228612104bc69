package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.events.AgentEvent;
import java.io.IOException;
import java.io.InputStream;
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
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class ManagementTest {
    private static final int CLIENTS = 200;
    private static final int REQUESTS = 3;

    @TempDir
    Path root;

    private final FakeOperations operations = new FakeOperations();
    private Path socket;
    private Path readOnly;
    private ApiServer server;
    private AgentClient client;

    @BeforeEach
    void start() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/curl")), "no curl here");
        socket = root.resolve("agent.sock");
        readOnly = root.resolve("agent-ro.sock");
        server = ApiServer.start(operations, List::of, socket, new ApiServer.Options(readOnly, true, null));
        client = new AgentClient(socket);
    }

    @AfterEach
    void stop() {
        operations.slowProtect.countDown();
        server.close();
    }

    @Test
    void shouldPageWithCursors() throws Exception {
        JsonTree first = client.get("/v1/vms?limit=1").json();
        assertThat(first.get("vms").elements()).hasSize(1);
        assertThat(first.get("vms").elements().get(0).get("name").text()).isEqualTo("web1");
        JsonTree second = client.get(
                        "/v1/vms?limit=1&cursor=" + first.get("nextCursor").text())
                .json();
        assertThat(second.get("vms").elements().get(0).get("name").text()).isEqualTo("db1");
        assertThat(second.get("nextCursor").present()).isFalse();
        JsonTree journal = client.get("/v1/vms/db1/journal?limit=1").json();
        JsonTree older = client.get("/v1/vms/db1/journal?limit=1&cursor="
                        + journal.get("nextCursor").text())
                .json();
        assertThat(older.get("epochs").elements().get(0).get("epoch").integer()).isEqualTo(6);
        assertThat(client.get("/v1/vms?cursor=!").json().get("detail").text())
                .isEqualTo("cursor ! is none that this agent gave: take nextCursor as it came.");
    }

    @Test
    void shouldGoOnAfterTheCursorAndNotAfterTheFirstId() throws Exception {
        String cursor = Base64.getUrlEncoder().withoutPadding().encodeToString("5".getBytes(StandardCharsets.UTF_8));
        assertThat(client.get("/v1/hardware/events?after=1")
                        .json()
                        .get("events")
                        .elements())
                .hasSize(1);
        assertThat(client.get("/v1/hardware/events?after=1&cursor=" + cursor)
                        .json()
                        .get("events")
                        .elements())
                .isEmpty();
    }

    @Test
    void shouldAnswerHeadAsGetWithoutABody() throws Exception {
        String two = curl(socket, "-I", "http://x/v1/agent", "http://x/metrics");
        assertThat(two)
                .containsPattern(
                        "(?s)HTTP/1.1 200 OK\r\n.*Content-Length: [1-9].*HTTP/1.1 200 OK\r\n.*Content-Length: [1-9]")
                .doesNotContain("{");
        assertThat(curl(socket, "-I", "http://x/v1/events"))
                .startsWith("HTTP/1.1 405 ")
                .contains("Allow: GET\r\n");
        assertThat(curl(socket, "-i", "-X", "PUT", "http://x/metrics"))
                .contains("Allow: GET, HEAD\r\n", "/metrics is for GET, not PUT.");
    }

    @Test
    void shouldRefuseAVerbThatMeantAnotherState() throws Exception {
        String head = curl(socket, "-i", "http://x/v1/vms/web1");
        String tag = head.replaceAll("(?s).*ETag: (\"[0-9a-f]{8}\").*", "$1");

        String refused = curl(socket, "-X", "POST", "-H", "If-Match: \"0\"", "http://x/v1/vms/web1/verify");
        assertThat(JsonTree.parse(refused).get("type").text()).isEqualTo("urn:lockstep:precondition-failed");
        assertThat(JsonTree.parse(refused).get("detail").text())
                .isEqualTo("If-Match \"0\" != " + tag
                        + ": web1 has changed since it was read. Read it again and decide anew.");
        String begun = curl(
                socket, "-X", "POST", "-H", "If-Match: \"0\"", "-H", "If-Match: " + tag, "http://x/v1/vms/web1/verify");
        assertThat(JsonTree.parse(begun).get("verb").text()).isEqualTo("verify");
    }

    @Test
    void shouldBeginOneJobForOneKey() throws Exception {
        String[] request = {"-X", "POST", "-H", "Idempotency-Key: k1", "http://x/v1/vms/web1/verify"};
        String id = JsonTree.parse(curl(socket, request)).get("id").text();

        assertThat(JsonTree.parse(curl(socket, request)).get("id").text()).isEqualTo(id);
        String other = curl(socket, "-X", "POST", "-H", "Idempotency-Key: k1", "http://x/v1/vms/web1/unprotect");
        assertThat(JsonTree.parse(other).get("detail").text())
                .isEqualTo("Idempotency-Key k1 began job " + id
                        + ", verify of web1, with another request. Each request needs a key of its own.");
        assertThat(JsonTree.parse(other).get("status").integer()).isEqualTo(422);
        String two = curl(
                socket,
                "-X",
                "POST",
                "-H",
                "Idempotency-Key: k1",
                "-H",
                "Idempotency-Key: k2",
                "http://x/v1/vms/web1/verify");
        assertThat(JsonTree.parse(two).get("detail").text())
                .isEqualTo("the request has 2 Idempotency-Keys, and may have one.");
    }

    @Test
    void shouldLeaveTheKeyToTheNextRequestWhenOneIsRefused() throws Exception {
        operations.absent.add("web1");
        String[] request = {"-X", "POST", "-H", "Idempotency-Key: k2", "http://x/v1/vms/web1/unprotect"};
        assertThat(JsonTree.parse(curl(socket, request)).get("type").text()).isEqualTo("urn:lockstep:no-such-vm");

        operations.absent.remove("web1");
        String id = JsonTree.parse(curl(socket, request)).get("id").text();
        assertThat(id).isEqualTo("1");
        // A verb may remove the VM that it is about.
        operations.absent.add("web1");
        assertThat(JsonTree.parse(curl(socket, request)).get("id").text()).isEqualTo(id);
    }

    @Test
    void shouldOnlyReadAtTheReadOnlySocketAndHideNames() throws Exception {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(readOnly)))
                .isEqualTo("rw-rw-rw-");
        String vms = curl(readOnly, "http://x/v1/vms");
        assertThat(vms)
                .doesNotContain("web1")
                .doesNotContain("db1")
                .contains("\"vm-")
                .contains("\"qmpPath\":null");
        assertThat(curl(readOnly, "http://x/metrics")).doesNotContain("web1").contains("lockstep_protected{vm=\"vm-");
        assertThat(JsonTree.parse(curl(readOnly, "-X", "POST", "http://x/v1/vms/web1/unprotect"))
                        .get("detail")
                        .text())
                .isEqualTo("this socket is for reading alone: use agent.sock, as root or in group lockstep.");
        assertThat(curl(socket, "http://x/v1/host")).contains("\"productUuid\":\"uuid-1\"");
        assertThat(curl(readOnly, "http://x/v1/host")).contains("\"productUuid\":\"\"");
        String pseudonym = vms.replaceAll("(?s).*?\"(vm-[0-9a-f]{8})\".*", "$1");
        assertThat(JsonTree.parse(curl(readOnly, "http://x/v1/vms/" + pseudonym))
                        .get("summary")
                        .get("name")
                        .text())
                .isEqualTo(pseudonym);
    }

    @Test
    void shouldTellReadersNoNamesInProblemsWhenTheyAreHidden() throws Exception {
        for (String guess :
                List.of("vms/web1", "vms/ghost", "vms/name:web1", "vms/%2Frun%2Fweb1.qmp", "vms/web1/journal")) {
            String answer = curl(readOnly, "http://x/v1/" + guess);
            assertThat(JsonTree.parse(answer).get("type").text()).as(guess).isEqualTo("urn:lockstep:no-such-vm");
            assertThat(JsonTree.parse(answer).get("detail").text())
                    .startsWith("names are hidden at this socket, and ")
                    .endsWith(" is neither a pseudonym nor a pid. GET /v1/vms has both.");
        }
        assertThat(curl(readOnly, "http://x/v1/status?vm=web1")).contains("names are hidden at this socket");
        String pseudonym = Pseudonyms.of(operations).of("db1");
        assertThat(curl(readOnly, "http://x/v1/status?vm=" + pseudonym)).contains("\"vm\":\"" + pseudonym + "\"");
        assertThat(curl(readOnly, "http://x/v1/vms/4711"))
                .contains("\"pid\":4711")
                .doesNotContain("web1");
        operations.absent.add("db1");
        assertThat(JsonTree.parse(curl(readOnly, "http://x/v1/vms/" + pseudonym + "/journal"))
                        .get("detail")
                        .text())
                .isEqualTo("no VM named " + pseudonym + " runs here. 'lockstep vms' lists those that do.");
    }

    @Test
    void shouldHideTheNameOfAVmThatCameAfterTheStreamBegan() throws Exception {
        try (SocketChannel reader = SocketChannel.open(UnixDomainSocketAddress.of(readOnly))) {
            reader.write(
                    ByteBuffer.wrap("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.UTF_8)));
            StringBuilder read = new StringBuilder();
            ByteBuffer buffer = ByteBuffer.allocate(1 << 14);
            for (String until : List.of(": lockstep", "protected")) {
                if (until.equals("protected")) {
                    operations.events.publish(AgentEvent.PROTECTION, "late1", "protected", "late1 is protected");
                }
                while (read.indexOf(until) < 0) {
                    buffer.clear();
                    assertThat(reader.read(buffer)).isPositive();
                    read.append(new String(buffer.array(), 0, buffer.position(), StandardCharsets.UTF_8));
                }
            }
            String pseudonym = Pseudonyms.of(operations).of("late1");
            assertThat(read.toString())
                    .contains("\"subject\":\"" + pseudonym + "\"", "\"" + pseudonym + " is protected\"")
                    .doesNotContain("late1");
        }
    }

    @Test
    void shouldStreamResumeAndTellOfAGap() throws Exception {
        long before = operations.events.lastId();
        for (int i = 0; i < 100; i++) {
            operations.events.publish(AgentEvent.PROTECTION, "web1", "protected", "epoch " + i);
        }
        // The history of the fake holds 64.
        String resumed = stream("Last-Event-ID: " + before, "epoch 99");
        assertThat(resumed)
                .contains("id: " + (before + 36) + "\nevent: gap\ndata: {\"lost\":36}\n\n")
                .contains("id: " + (before + 37) + "\nevent: protection\ndata: {\"id\":" + (before + 37))
                .doesNotContain("\"epoch 35\"");
        String rest = stream("Last-Event-ID: " + (before + 99), "epoch 99");
        assertThat(rest).doesNotContain("epoch 98").doesNotContain("gap");
    }

    @Test
    void shouldNotWaitForAReaderThatDoesNotRead() throws Exception {
        try (SocketChannel lazy = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            lazy.connect(UnixDomainSocketAddress.of(socket));
            lazy.write(ByteBuffer.wrap("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.UTF_8)));
            lazy.read(ByteBuffer.allocate(64));
            String text = "x".repeat(2_000);
            for (int i = 0; i < 20_000; i++) {
                operations.events.publish(AgentEvent.ERROR, "web1", "code", text);
            }
            assertThat(client.get("/v1/agent").status()).isEqualTo(200);
            StringBuilder read = new StringBuilder();
            ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
            while (read.indexOf("event: gap") < 0) {
                buffer.clear();
                assertThat(lazy.read(buffer)).isPositive();
                read.append(new String(buffer.array(), 0, buffer.position(), StandardCharsets.UTF_8));
            }
            assertThat(read.length()).isLessThan(20_000_000);
        }
    }

    @Test
    void shouldServeTwoHundredClientsWithBoundedThreads() throws Exception {
        AtomicInteger right = new AtomicInteger();
        AtomicInteger failures = new AtomicInteger();
        CountDownLatch done = new CountDownLatch(CLIENTS);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            Thread thread = new Thread(() -> {
                for (int n = 0; n < REQUESTS; n++) {
                    try {
                        right.addAndGet(client.get("/v1/status").status() == 200 ? 1 : 0);
                    } catch (Exception e) {
                        failures.incrementAndGet();
                    }
                }
                done.countDown();
            });
            threads.add(thread);
        }
        threads.forEach(Thread::start);
        assertThat(done.await(60, TimeUnit.SECONDS)).isTrue();

        assertThat(right.get() + failures.get()).isEqualTo(CLIENTS * REQUESTS);
        assertThat(failures.get()).as("cut off by the bounds").isLessThan(CLIENTS);
        assertThat(Thread.getAllStackTraces().keySet().stream()
                        .filter(thread -> thread.getName().startsWith("api"))
                        .count())
                .isLessThanOrEqualTo(14);
        await().atMost(Duration.ofSeconds(10))
                .untilAsserted(
                        () -> assertThat(client.get("/v1/agent").status()).isEqualTo(200));
    }

    @Test
    void shouldKnowWhoMayManage() throws Exception {
        PeerCredentials credentials = new PeerCredentials("lockstep");
        Path groups = root.resolve("group");
        Files.writeString(groups, "adm:x:4:ann\nlockstep:x:990:bob,eve\n");

        assertThat(credentials.allowed("root", "root")).isTrue();
        assertThat(credentials.allowed("ann", "lockstep")).isTrue();
        assertThat(credentials.allowed("ann-without-group", "users")).isFalse();
        assertThat(credentials.memberOf(groups, "eve")).isTrue();
        assertThat(credentials.memberOf(groups, "ann")).isFalse();
    }

    private String stream(String header, String until) throws Exception {
        Process curl = new ProcessBuilder(
                        "/usr/bin/curl",
                        "-sSN",
                        "-m",
                        "20",
                        "-H",
                        header,
                        "--unix-socket",
                        socket.toString(),
                        "http://x/v1/events")
                .start();
        try (InputStream in = curl.getInputStream()) {
            StringBuilder text = new StringBuilder();
            byte[] buffer = new byte[8192];
            while (text.indexOf(until) < 0) {
                int read = in.read(buffer);
                if (read < 0) {
                    return text.toString();
                }
                text.append(new String(buffer, 0, read, StandardCharsets.UTF_8));
            }
            return text.toString();
        } finally {
            curl.destroy();
        }
    }

    private static String curl(Path socket, String... arguments) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of("/usr/bin/curl", "-sS", "-m", "20", "--unix-socket", socket.toString()));
        command.addAll(List.of(arguments));
        Process curl = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(curl.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return said;
    }
}
