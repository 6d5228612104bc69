package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.agent.client.AgentClient.Response;
import io.lockstep.agent.client.JsonTree;
import io.lockstep.agent.doctor.Finding;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class ApiServerTest {
    @TempDir
    Path root;

    private final FakeOperations operations = new FakeOperations();
    private Path socket;
    private ApiServer server;
    private AgentClient client;

    @BeforeEach
    void start() throws Exception {
        socket = root.resolve("run/agent.sock");
        server = ApiServer.start(
                operations,
                () -> List.of(new Finding("kvm", "", Finding.Status.WARNING, "there is none", "get one")),
                socket);
        client = new AgentClient(socket);
    }

    @AfterEach
    void stop() {
        operations.slowProtect.countDown();
        server.close();
    }

    @Test
    void shouldCreateTheSocketWithItsFinalModeAndNothingBesides() throws Exception {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-rw----");
        try (var files = Files.list(socket.getParent())) {
            assertThat(files).containsExactly(socket);
        }
    }

    @Test
    void shouldReplaceAStaleSocketAndRemoveItsOwn() throws Exception {
        server.close();
        assertThat(socket).doesNotExist();
        Files.writeString(socket, "stale");
        server = ApiServer.start(operations, List::of, socket);

        assertThat(client.get("/v1/agent").status()).isEqualTo(200);
    }

    @Test
    void shouldServeEveryViewAsJson() throws Exception {
        assertThat(client.get("/v1/agent").json().get("fingerprint").text()).isEqualTo(FakeOperations.FINGERPRINT);
        JsonTree vms = client.get("/v1/vms").json().get("vms");
        assertThat(vms.elements().get(0).get("role").text()).isEqualTo("none");
        assertThat(vms.elements().get(1).get("qmpPath").present()).isFalse();
        JsonTree vm = client.get("/v1/vms/web1").json();
        assertThat(vm.get("protection").get("pauseMs").get("p50").number()).isEqualTo(3.4);
        assertThat(vm.get("replica").present()).isFalse();
        assertThat(client.get("/v1/vms/%2Frun%2Fweb1.qmp")
                        .json()
                        .get("summary")
                        .get("pid")
                        .integer())
                .isEqualTo(4711);
        assertThat(client.get("/v1/vms/4711").json().get("summary").get("name").text())
                .isEqualTo("web1");
        JsonTree status = client.get("/v1/status").json();
        assertThat(status.get("replicas")
                        .elements()
                        .get(0)
                        .get("committedEpoch")
                        .integer())
                .isEqualTo(7);
        JsonTree finding =
                client.get("/v1/doctor").json().get("findings").elements().get(0);
        assertThat(finding.get("status").text()).isEqualTo("warning");
        JsonTree journal = client.get("/v1/vms/db1/journal?limit=1").json();
        assertThat(journal.get("epochs").elements()).hasSize(1);
    }

    @Test
    void shouldRunVerbsAsJobs() throws Exception {
        Response started =
                client.post("/v1/vms/web1/protect", "{\"peer\":\"b\",\"epochMs\":10,\"tracker\":\"soft-dirty\"}");

        assertThat(started.status()).isEqualTo(202);
        JsonTree job = ended(started);
        assertThat(job.get("state").text()).isEqualTo("done");
        assertThat(job.get("result").get("tracker").text()).isEqualTo("userfaultfd-wp");
        assertThat(operations.request.get().vm()).isEqualTo(new VmSelector(VmSelector.Kind.NAME, "web1"));
        assertThat(operations.request.get().peer()).isEqualTo("b");
        assertThat(operations.request.get().epochMs()).isEqualTo(10);
        assertThat(operations.request.get().tracker()).isEqualTo("soft-dirty");
        assertThat(client.get("/v1/jobs").json().get("jobs").elements()).hasSize(1);
    }

    @Test
    void shouldShowProgressAndRefuseASecondVerbOfTheSameVm() throws Exception {
        JsonTree job = client.post("/v1/vms/slow/protect", "").json();
        await().atMost(Duration.ofSeconds(10)).untilAsserted(() -> assertThat(
                        job(job.get("id").text()).get("phase").text())
                .isEqualTo("initial-copy"));

        assertThat(job(job.get("id").text()).get("total").integer()).isEqualTo(4 << 20);
        Response second = client.post("/v1/vms/slow/verify", "{}");
        problem(second, 409, "vm-busy", "protect of slow runs as job 1. Wait until it has ended.");
        operations.slowProtect.countDown();
        assertThat(ended(client.get("/v1/jobs/1")).get("state").text()).isEqualTo("done");
    }

    @ParameterizedTest
    @ValueSource(strings = {"slow", "name:slow", FakeOperations.SLOW_PID, "%2Frun%2Fslow.qmp"})
    void shouldRefuseASecondVerbHoweverTheVmIsNamed(String first) throws Exception {
        JsonTree job = client.post("/v1/vms/" + first + "/protect", "").json();
        assertThat(job.get("vm").text()).isEqualTo("slow");

        for (String second : List.of("slow", "name:slow", "pid:" + FakeOperations.SLOW_PID, "qmp:%2Frun%2Fslow.qmp")) {
            Response refused = client.post("/v1/vms/" + second + "/verify", "{}");
            problem(refused, 409, "vm-busy", "protect of slow runs as job 1. Wait until it has ended.");
        }
    }

    @Test
    void shouldKeepRefusalsOfJobs() throws Exception {
        JsonTree job = ended(client.post("/v1/vms/db1/failover", "{}"));

        assertThat(job.get("state").text()).isEqualTo("failed");
        assertThat(job.get("error").get("code").text()).isEqualTo("no-fence");
        JsonTree broken = ended(client.post("/v1/vms/broken/protect", "{}"));
        assertThat(broken.get("error").get("code").text()).isEqualTo("internal-error");
        assertThat(broken.get("error").get("message").text())
                .isEqualTo("java.lang.IllegalStateException: broken on purpose. See the agent's log.");
    }

    @ParameterizedTest
    @MethodSource("verbs")
    void shouldRefuseAVerbAtOnceWhenItsVmIsNotHere(Endpoint verb) throws Exception {
        String path = "/v1/" + String.join("/", verb.template).replace("VM", "ghost");
        Response refused = client.post(path, verb == Endpoint.PROTECTION ? "{\"protection\":\"async\"}" : "{}");

        problem(refused, 404, "no-such-vm", "no VM named ghost runs here. 'lockstep vms' lists those that do.");
        assertThat(client.get("/v1/jobs").json().get("jobs").elements()).isEmpty();
    }

    static Stream<Endpoint> verbs() {
        return Arrays.stream(Endpoint.values()).filter(Endpoint::verb);
    }

    @Test
    void shouldAnswerWrongRequestsWithProblems() throws Exception {
        problem(
                client.get("/v1/vms/ghost"),
                404,
                "no-such-vm",
                "no VM with name ghost runs here. 'lockstep vms' lists those that do.");
        problem(
                client.get("/v1/nothing"),
                404,
                "no-such-resource",
                "there is no /v1/nothing; /v1/openapi.json has what there is.");
        problem(client.get("/v2"), 404, "no-such-resource", "every resource is under /v1.");
        problem(
                client.get("/v1/jobs/9"),
                404,
                "no-such-job",
                "no job 9; the agent has restarted, or 256 later ones have ended.");
        problem(
                client.post("/v1/vms/web1/explode", "{}"),
                404,
                "no-such-resource",
                "there is no /v1/vms/web1/explode; /v1/openapi.json has what there is.");
        problem(client.get("/v1/vms/db1/journal?limit=0"), 400, "bad-request", "limit 0 is not a number in 1..10000.");
        problem(
                client.post("/v1/vms/web1/protect", "{\"epochMs\":10001}"),
                400,
                "bad-request",
                "epochMs 10001 is not a number in 1..10000.");
        assertThat(client.post("/v1/vms/web1/protect", "{\"peer\"").status()).isEqualTo(400);
        problem(
                client.post("/v1/vms/web1/protect", "x".repeat(ApiHandler.BODY_BYTES_MAX + 1)),
                413,
                "request-too-large",
                "the request's body has 16385 bytes > 16384.");
    }

    /** What is misspelt must not be taken as left out: a force that is none, a page that begins anew. */
    @Test
    void shouldRefuseWhatARequestMustNotSay() throws Exception {
        for (String[] wrong : new String[][] {
            {"failover", "{\"forse\":true}", "there is no field forse here, but force."},
            {"failover", "{\"force\":\"true\"}", "force is text, and must be true or false."},
            {"failover", "[true]", "the request's body is an array, and must be an object."},
            {"failover", "null", "the request's body is null, and must be an object."},
            {"verify", "{\"x\":1}", "there is no field x here."},
            {"protect", "{\"epochMs\":\"10\"}", "epochMs is text, and must be a whole number."},
            {"protect", "{\"epochMs\":1.5}", "epochMs is a fraction, and must be a whole number."},
            {"protect", "{\"epochMs\":-1}", "epochMs -1 is not a number in 1..10000."},
            {"protect", "{\"peer\":{\"a\":1}}", "peer is an object, and must be text."},
            {"protection", "{}", "protection \"\" is none of lockstep, async."},
        }) {
            problem(client.post("/v1/vms/web1/" + wrong[0], wrong[1]), 400, "bad-request", wrong[2]);
        }
        for (String body : List.of(
                "{\"force\":true} {}",
                "{\"force\":true,\"force\":false}",
                "{\"epochMs\":99999999999999999999}",
                "[".repeat(8_000),
                "{\"force\":")) {
            assertThat(client.post("/v1/vms/web1/failover", body)
                            .json()
                            .get("detail")
                            .text())
                    .startsWith("the request's body is not JSON: ");
        }
        String foreign = "cursor eA is none that this agent gave: take nextCursor as it came.";
        for (String[] wrong : new String[][] {
            {"/v1/vms?limt=1", "there is no parameter limt here, but limit, cursor."},
            {"/v1/agent?x=1", "there is no parameter x here."},
            {"/v1/vms?limit", "the query has limit where NAME=VALUE must be."},
            {"/v1/vms?limit=1&limit=2", "the query has limit twice."},
            {"/v1/vms?limit=99999999999999999999", "limit 99999999999999999999 is not a number in 1..10000."},
            {"/v1/vms/db1/journal?cursor=eA", foreign},
            {"/v1/jobs?cursor=eA", foreign},
            {"/v1/hardware/events?cursor=eA", foreign},
            {"/v1/hardware/events?after=-1", "after -1 is not a number of at most 18 digits."},
        }) {
            problem(client.get(wrong[0]), 400, "bad-request", wrong[1]);
        }
        problem(
                client.get("/v1/vms/pid:99999999999999999999"),
                404,
                "no-such-vm",
                "no VM with pid 99999999999999999999 runs here. 'lockstep vms' lists those that do.");
    }

    @Test
    void shouldSurviveRandomBytes() throws Exception {
        long seed = 20_261_123;
        Random random = new Random(seed);
        for (int i = 0; i < 300; i++) {
            byte[] bytes = new byte[1 + random.nextInt(200)];
            random.nextBytes(bytes);
            if (i % 3 == 0) {
                byte[] start = "POST /v1/vms/a/protect HTTP/1.1\r\nHost: a\r\nContent-Length: "
                        .getBytes(StandardCharsets.US_ASCII);
                System.arraycopy(start, 0, bytes, 0, Math.min(start.length, bytes.length));
            }
            try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                channel.connect(UnixDomainSocketAddress.of(socket));
                channel.write(ByteBuffer.wrap(bytes));
            } catch (IOException e) {
                // The server may hang up first.
                assertThat(e).isInstanceOf(SocketException.class);
            }
        }

        await().atMost(Duration.ofSeconds(20)).ignoreExceptions().untilAsserted(() -> assertThat(
                        client.get("/v1/agent").status())
                .as("seed %d", seed)
                .isEqualTo(200));
    }

    @Test
    void shouldRefuseASocketPathThatIsTooLong() {
        Path tooLong = root.resolve("d".repeat(100)).resolve("agent.sock");

        assertThatThrownBy(() -> ApiServer.start(operations, List::of, tooLong))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("socket-not-created"))
                .hasMessageStartingWith("cannot listen at " + tooLong + ": ")
                .hasMessageEndingWith(
                        ". The path must be shorter than 108 bytes, in a directory that the agent's user may write.");
    }

    @Test
    void shouldAnswerCurl() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/curl")), "no curl here");
        Process curl = new ProcessBuilder(
                        "/usr/bin/curl",
                        "-sS",
                        "-m",
                        "20",
                        "-i",
                        "--unix-socket",
                        socket.toString(),
                        "http://lockstep/v1/vms/ghost")
                .redirectErrorStream(true)
                .start();
        String answer = new String(curl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(curl.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(answer)
                .startsWith("HTTP/1.1 404 Not Found\r\n")
                .contains("Content-Type: application/problem+json\r\n")
                .endsWith(
                        "{\"type\":\"urn:lockstep:no-such-vm\",\"title\":\"no such vm\",\"status\":404,\"detail\":\"no VM with name"
                                + " ghost runs here. 'lockstep vms' lists those that do.\",\"code\":\"no-such-vm\"}");
    }

    private static void problem(Response response, int status, String code, String detail) throws Exception {
        assertThat(response.json().get("detail").text()).isEqualTo(detail);
        assertThat(response.json().get("type").text()).isEqualTo("urn:lockstep:" + code);
        assertThat(response.status()).isEqualTo(status);
    }

    private JsonTree ended(Response started) throws Exception {
        String id = started.json().get("id").text();
        await().atMost(Duration.ofSeconds(20))
                .until(() -> !job(id).get("state").text().equals("running"));
        return job(id);
    }

    private JsonTree job(String id) throws Exception {
        return client.get("/v1/jobs/" + id).json();
    }
}
