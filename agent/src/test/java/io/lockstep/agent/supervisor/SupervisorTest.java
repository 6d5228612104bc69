package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.AgentProcess;
import io.lockstep.agent.client.AgentClient;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real agent processes, around a daemon that does nothing. */
@Tag("kernel")
@Timeout(180)
class SupervisorTest {
    private static final int SIGKILL = 9;
    private static final int SIGSTOP = 19;
    private static final Duration BOUND = Duration.ofSeconds(60);

    @TempDir
    Path root;

    private AgentPaths paths;
    private AgentClient client;
    private Supervisor supervisor;
    private CompletableFuture<Integer> run;
    private final List<Supervisor> started = new ArrayList<>();
    private final List<CompletableFuture<Integer>> runs = new ArrayList<>();

    @BeforeEach
    void start() throws Exception {
        paths = AgentPaths.under(root);
        client = new AgentClient(paths.socket());
        supervisor = new Supervisor(command(), paths.run().resolve("notify.sock"), 1000, () -> {});
        run = run(supervisor);
    }

    @AfterEach
    void stop() throws Exception {
        started.forEach(Supervisor::stop);
        for (CompletableFuture<Integer> each : runs) {
            each.get(60, TimeUnit.SECONDS);
        }
    }

    @Test
    void shouldStartTheAgentAgainWhenItIsKilled() throws Exception {
        long first = awaitAgent(0);
        signal(first, SIGKILL);
        long second = awaitAgent(first);
        signal(second, SIGKILL);

        assertThat(awaitAgent(second)).isNotEqualTo(first);
        assertThat(run).isNotDone();
    }

    @Test
    void shouldKillAndStartTheAgentAgainWhenItHangs() throws Exception {
        long first = awaitAgent(0);
        signal(first, SIGSTOP);

        long second = awaitAgent(first);
        assertThat(ProcessHandle.of(first).filter(ProcessHandle::isAlive)).isEmpty();
        assertThat(second).isPositive();
    }

    @Test
    void shouldEndTheAgentInOrderWhenItIsStopped() throws Exception {
        long agent = awaitAgent(0);
        supervisor.stop();

        assertThat(run.get(60, TimeUnit.SECONDS)).isEqualTo(143);
        assertThat(ProcessHandle.of(agent).filter(ProcessHandle::isAlive)).isEmpty();
        assertThat(paths.socket()).doesNotExist();
        assertThat(paths.run().resolve("notify.sock")).doesNotExist();
        assertThat(Files.readString(paths.logs().resolve("agent.log")))
                .contains("in service: ")
                .contains("stopping the agent of " + root);
    }

    @Test
    void shouldHaveTheCompilersGiveWayOnceTheAgentIsInService() throws Exception {
        Path threads = Path.of("/proc/" + awaitAgent(0) + "/task");

        await().atMost(BOUND).untilAsserted(() -> assertThat(compilersNice(threads))
                .hasSizeGreaterThanOrEqualTo(2)
                .allMatch(nice -> nice == 5));
    }

    /** The nice values of the JIT's threads; proc(5), field 19 of stat. */
    private static List<Integer> compilersNice(Path threads) throws IOException {
        List<Integer> found = new ArrayList<>();
        try (DirectoryStream<Path> each = Files.newDirectoryStream(threads)) {
            for (Path thread : each) {
                String stat = Files.readString(thread.resolve("stat"), StandardCharsets.ISO_8859_1);
                if (stat.contains(" CompilerThre)")) {
                    String[] behindName =
                            stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
                    found.add(Integer.parseInt(behindName[16]));
                }
            }
        }
        return found;
    }

    @Test
    void shouldGiveUpWhenTheAgentRefusesToStart() throws Exception {
        awaitAgent(0);

        assertThat(run(new Supervisor(command(), paths.run().resolve("other.sock"), 1000, () -> {}))
                        .get(60, TimeUnit.SECONDS))
                .isEqualTo(3);
    }

    private List<String> command() throws LockstepException {
        Path project = Path.of(System.getProperty("lockstep.project", ".."));
        List<String> command = new ArrayList<>(JvmCommand.agent(project.resolve("agent/jvm.options")));
        command.removeIf(option -> option.startsWith("-XX:SharedArchiveFile"));
        command.add(AgentProcess.class.getName());
        command.add(root.toString());
        return command;
    }

    /** Each on a thread of its own: the common pool may have only one, and a supervisor keeps it until it is stopped. */
    private CompletableFuture<Integer> run(Supervisor each) {
        CompletableFuture<Integer> status = new CompletableFuture<>();
        started.add(each);
        runs.add(status);
        new Thread(
                        () -> {
                            try {
                                status.complete(each.run());
                            } catch (LockstepException | RuntimeException e) {
                                status.completeExceptionally(e);
                            }
                        },
                        "supervisor-" + runs.size())
                .start();
        return status;
    }

    private long awaitAgent(long otherThan) {
        return await().atMost(BOUND)
                .pollInterval(Duration.ofMillis(20))
                .until(this::agentPid, pid -> pid > 0 && pid != otherThan);
    }

    private long agentPid() {
        try {
            return client.get("/v1/agent").json().get("pid").integer();
        } catch (LockstepException | IOException e) {
            return 0;
        }
    }

    private static void signal(long pid, int signal) throws IOException {
        try (Pidfd process = Pidfd.open(pid)) {
            process.sendSignal(signal);
        }
    }
}
