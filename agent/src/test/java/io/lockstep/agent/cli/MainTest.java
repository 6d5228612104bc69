package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.doctor.Finding;
import io.lockstep.agent.view.DifferingPage;
import io.lockstep.agent.view.VmSelector;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class MainTest {
    @TempDir
    Path root;

    private final FakeOperations operations = new FakeOperations();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private List<Finding> findings = List.of();
    private ApiServer server;

    @BeforeEach
    void start() throws Exception {
        server = ApiServer.start(
                operations, () -> findings, AgentPaths.under(root).socket());
    }

    @AfterEach
    void stop() {
        operations.slowProtect.countDown();
        server.close();
    }

    @Test
    void shouldListVms() {
        assertThat(run("vms")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("""
                NAME  PID   ROLE     STATE        MEMORY   ACCEL  UID    QMP
                web1  4711  none     unprotected  256 MiB  kvm    64055  /run/web1.qmp
                db1   -     replica  standing-by  1.0 GiB  -      0      -
                """);
    }

    @Test
    void shouldShowStatusInParagraphs() {
        assertThat(run("status")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("""
                web1 role:primary state:protected pid:4711 tracker:userfaultfd-wp
                  peer:b address:host-b:7500 connected:yes hardware:healthy
                  epoch:41 acked:40 epochs of 25.1 ms p99 26.2 ms  pause p50 3.4 ms p99 4.5 ms max 9.9 ms  ack p50 1.1 ms p99 2.2 ms
                  pause p50: stop and drain 0.9 ms, device state 0.5 ms, scan 0.4 ms, copy 0.3 ms, reading the state 0.8 ms, start 0.4 ms
                  memory:256 MiB in 6 blocks  dirty p50 120 max 500 pages an epoch  sent 123 MiB
                  full copy: 256 MiB in 0.6 s, 400 MiB/s, 3 passes
                  disk virtio0: 8.0 GiB qcow2, mirrored, 1.0 GiB copied in 2.5 s
                  disk data: 1.0 TiB raw, shared: not copied, and after a failover newer than the memory
                  scrubbed:320 mismatches:0 restarts:1 resumed:1 full-copies:1
                  protection:lockstep output:held waiting 0 B  frames:1234 dropped:0  release p50 0.1 ms p99 0.2 ms
                  since: epoch 1 acknowledged

                db1 role:replica state:standing-by
                  primary:b address:host-b:7500 connected:yes hardware:healthy
                  committed:7 applied:6 standby:ready pid:99 journal: 8 epochs, 4.0 KiB
                  drill:passed last:1970-01-01T00:00:01Z took:813ms due:1970-01-01T02:30:00Z
                  since: epoch 7 committed
                  last error: link-corrupt: frame 3: checksum 1 != 2.

                this-host role:hardware state:failing
                  DRILL: 3 events of mirror.jsonl were replayed at 1970-01-01T00:00:00.500Z and did not happen; 'lockstep hardware clear' ends it
                  DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB: failing, 7 corrected and 1 other errors
                    evidence: memory failed over to its mirror
                  action: 1970-01-01T00:00:00Z switchover dry-run: would switch web1 over to b, which is healthy: DIMM A2 is failing

                """);
        assertThat(run("status", "db1")).isEqualTo(ExitCode.OK);
        assertThat(out.toString(StandardCharsets.UTF_8))
                .startsWith("db1 role:replica")
                .doesNotContain("web1");
    }

    @Test
    void shouldSayInTextAndJsonWhichOutputIsNotHeldAsLongAsThatLasts() throws Exception {
        assertThat(run("status", "web1")).isEqualTo(ExitCode.OK);
        assertThat(out.toString(StandardCharsets.UTF_8)).doesNotContain("not held");

        operations.unheld = List.of("netdev fast (NIC nic1): several queues", "netdev n2: vhost");
        out.reset();
        assertThat(run("status", "web1")).isEqualTo(ExitCode.OK);
        assertThat(out.toString(StandardCharsets.UTF_8)).contains("""
                          output not held: netdev fast (NIC nic1): several queues
                          output not held: netdev n2: vhost
                        """);
        out.reset();
        assertThat(run("status", "web1", "--json")).isEqualTo(ExitCode.OK);
        assertThat(out.toString(StandardCharsets.UTF_8).replaceAll("\\s+", ""))
                .contains("\"unheld\":[\"netdevfast(NICnic1):severalqueues\",\"netdevn2:vhost\"]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vms",
                "status",
                "status web1",
                "doctor",
                "journal db1",
                "verify web1",
                "protect web1 --dry-run",
                "identity"
            })
    void shouldPrintJsonOnEveryReadingCommand(String command) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(command.split(" ")));
        arguments.add("--json");

        assertThat(run(arguments.toArray(String[]::new))).isEqualTo(ExitCode.OK);
        assertThat(out.toString(StandardCharsets.UTF_8).strip())
                .startsWith("{")
                .endsWith("}")
                .doesNotContain("\n");
    }

    @Test
    void shouldProtectAndWait() {
        assertThat(run("protect", "--name", "web1", "--peer", "b", "--epoch-ms", "10"))
                .isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("web1 is protected: full copy in 0.6 s, tracker userfaultfd-wp.\n");
        assertThat(operations.request.get().peer()).isEqualTo("b");
        assertThat(operations.request.get().epochMs()).isEqualTo(10);
    }

    @Test
    void shouldReturnOnceTheFirstCopyRuns() {
        assertThat(run("protect", "slow", "--no-wait")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("slow: the first copy runs as job 1. 'lockstep status' shows it.\n");
    }

    @Test
    void shouldPrintTheStandbysCommandLine() {
        assertThat(run("protect", "web1", "--dry-run")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("qemu -name 'it'\\''s' -S\n");
        assertThat(err)
                .hasToString(
                        "web1: pid 4711, QEMU 7.2.0, 256 MiB in 6 blocks, tracker soft-dirty. Nothing was touched.\n");
    }

    @Test
    void shouldTellByItsExitStatusWhatVerifyFound() {
        assertThat(run("verify", "web1")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("web1: epoch 12, 65536 pages compared, 0 differ, paused for 41.3 ms.\n");
        operations.differing = List.of(new DifferingPage("pc.ram", 0x3000));
        assertThat(run("verify", "web1")).isEqualTo(ExitCode.DIFFERS);
        assertThat(out)
                .hasToString(
                        "web1: epoch 12, 65536 pages compared, 1 differ, paused for 41.3 ms.\n  pc.ram at 0x3000\n");
    }

    @Test
    void shouldMoveAndPromote() {
        assertThat(run("switchover", "web1")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("web1 runs on b from epoch 13; it stood still for 12.5 ms.\n");
        assertThat(run("failover", "db1", "--force")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("db1 runs here from epoch 7, resumed in 21.5 ms, pid 99, QMP /run/db1.qmp.\n");
        assertThat(run("unprotect", "web1")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("web1 is not protected any more.\n");
    }

    @Test
    void shouldSwitchTheProtectionOfAVm() {
        assertThat(run("protection", "web1", "--mode", "async")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("web1 is protected as async.\n");
        assertThat(run("protection", "web1")).isEqualTo(ExitCode.USAGE);
        assertThat(run("protection", "web1", "--mode", "sometimes")).isEqualTo(ExitCode.USAGE);
        assertThat(run("protect", "web1", "--protection", "async", "--allow-unheld-output"))
                .isEqualTo(ExitCode.OK);
    }

    @Test
    void shouldListTheJournal() {
        assertThat(run("journal", "db1")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("""
                EPOCH  TIME                      PAGES  BYTES
                7      2023-11-14T22:13:20Z      12     34567
                6      2023-11-14T22:13:19.975Z  1      99
                """);
    }

    @Test
    void shouldExitWith3WhenRefused() {
        assertThat(run("failover", "db1")).isEqualTo(ExitCode.REFUSED);
        assertThat(err).hasToString("lockstep failover: no fence command is configured. Use --force.\n");
        assertThat(run("protect", "ghost")).isEqualTo(ExitCode.REFUSED);
        assertThat(err)
                .hasToString("lockstep protect: no VM named ghost runs here. 'lockstep vms' lists those that do.\n");
    }

    @Test
    void shouldExitWith1WhenTheAgentFails() {
        assertThat(run("protect", "broken")).isEqualTo(ExitCode.FAILED);
        assertThat(err)
                .hasToString(
                        "lockstep protect: java.lang.IllegalStateException: broken on purpose. See the agent's log.\n");
    }

    @Test
    void shouldExitWith4WhenNoAgentAnswers() {
        server.close();

        assertThat(run("status")).isEqualTo(ExitCode.AGENT_NOT_RUNNING);
        assertThat(err)
                .hasToString("lockstep status: no agent answers at "
                        + AgentPaths.under(root).socket() + ". Start it with 'lockstep agent', or name its --root.\n");
    }

    @Test
    void shouldExitWith2WhenTheCommandLineIsWrong() {
        assertThat(run("protect", "--pid", "1", "--name", "a")).isEqualTo(ExitCode.USAGE);
        assertThat(err.toString(StandardCharsets.UTF_8)).endsWith(". 'lockstep protect --help' shows the options.\n");
        assertThat(run("protect")).isEqualTo(ExitCode.USAGE);
        assertThat(run("journal")).isEqualTo(ExitCode.USAGE);
        assertThat(err)
                .hasToString(
                        "lockstep journal: Missing required parameter: 'VM'. 'lockstep journal --help' shows the options.\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "protect web1 --magic | lockstep protect: there is no option '--magic'",
                "protect web1 extra | lockstep protect: 'extra' is one argument too many",
                "protect web1 --epoch-ms soon | lockstep protect: Invalid value for option '--epoch-ms': 'soon' is not a whole number",
                "protect web1 --epoch-ms 0 | lockstep protect: epochMs 0 is not a number in 1..10000.",
                "protect --pid x | lockstep protect: Invalid value for option '--pid': 'x' is not a whole number",
                "protect --name a --pid 1 | lockstep protect: --pid=PID, --name=NAME are mutually exclusive (specify only one)",
                "protect --name= | lockstep protect: the VM's name is empty",
                "discard | lockstep discard: Missing required parameter: 'VM'",
                "status --watch=often | lockstep status: Invalid value for option '--watch': 'often' is not a number",
                "status --watch=-3 | lockstep status: --watch -3.0 is not in 0.1..3600.0",
                "journal db1 --limit 0 | lockstep journal: limit 0 is not a number in 1..10000.",
                "demo --guest foo | lockstep demo: Invalid value for option '--guest': expected one of micro, linux but was 'foo'",
                "demo --kill x | lockstep demo: Invalid value for option '--kill': expected one of vm, host, agent but was 'x'",
                "demo --seconds -1 | lockstep demo: --seconds -1 is not in 1..3600",
                "demo --epoch-ms 0 | lockstep demo: --epoch-ms 0 is not in 1..1000",
            })
    void shouldSayWhatIsWrongWithACommandLine(String command, String message) {
        boolean rooted = !command.startsWith("demo");
        int exit = rooted ? run(command.split(" ")) : Main.run(command.split(" "), out, err);
        assertThat(exit).isEqualTo(ExitCode.USAGE);
        assertThat(err.toString(StandardCharsets.UTF_8)).startsWith(message);
        assertThat(out).hasToString("");
    }

    @Test
    void shouldNameTheNearestCommandWhenOneIsUnknown() {
        assertThat(Main.run(new String[] {"statsu"}, out, err)).isEqualTo(ExitCode.USAGE);
        assertThat(err)
                .hasToString(
                        "lockstep: there is no command 'statsu'; the nearest is status. 'lockstep --help' shows the options.\n");
        err.reset();
        assertThat(Main.run(new String[0], out, err)).isEqualTo(ExitCode.USAGE);
        assertThat(err).hasToString("lockstep: no command is given. 'lockstep --help' shows the options.\n");
    }

    @Test
    void shouldTakeAQmpSocketFromTheOperatorsDirectory() {
        assertThat(run("protect", "./vms/../web1.qmp")).isEqualTo(ExitCode.OK);
        assertThat(operations.request.get().vm())
                .isEqualTo(new VmSelector(
                        VmSelector.Kind.QMP,
                        Path.of("web1.qmp").toAbsolutePath().toString()));
        assertThat(run("protect", "--name", "4711")).isEqualTo(ExitCode.OK);
        assertThat(operations.request.get().vm()).isEqualTo(new VmSelector(VmSelector.Kind.NAME, "4711"));
    }

    @Test
    void shouldRefuseTheStatusOfAVmThatIsNotReplicated() {
        assertThat(run("status", "other", "--json")).isEqualTo(ExitCode.REFUSED);
        String message = "no VM other is replicated to or from this host. 'lockstep status' lists those that are.";
        assertThat(err).hasToString("lockstep status: " + message + "\n");
        assertThat(out).hasToString("{\"error\":{\"code\":\"not-replicated\",\"message\":\"" + message + "\"}}\n");
    }

    @Test
    void shouldEndAWatchWhenItsReaderHasGone() {
        FailingOutput pipe = new FailingOutput("Broken pipe");
        assertThat(Main.run(new String[] {"status", "--root", root.toString(), "--watch"}, pipe, err))
                .isEqualTo(ExitCode.FAILED);
        assertThat(err).hasToString("");
    }

    @Test
    void shouldExitWith1WhenTheOutputCannotBeWritten() {
        FailingOutput disk = new FailingOutput("No space left on device");
        assertThat(Main.run(new String[] {"vms", "--root", root.toString()}, disk, err))
                .isEqualTo(ExitCode.FAILED);
        assertThat(err).hasToString("lockstep: the output cannot be written: No space left on device\n");
    }

    private static final class FailingOutput extends OutputStream {
        private final String why;

        FailingOutput(String why) {
            this.why = why;
        }

        @Override
        public void write(int b) throws IOException {
            throw new IOException(why);
        }
    }

    @Test
    void shouldDiscardAReplica() {
        assertThat(run("discard", "db1")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("The replica of db1 is removed.\n");
        assertThat(run("discard", "ghost", "--json")).isEqualTo(ExitCode.REFUSED);
        assertThat(out.toString(StandardCharsets.UTF_8)).startsWith("{\"error\":{\"code\":\"no-such-vm\"");
    }

    @Test
    void shouldEndAProtectThatRunsByUnprotect() {
        assertThat(run("protect", "slow", "--no-wait")).isEqualTo(ExitCode.OK);
        assertThat(run("verify", "slow")).isEqualTo(ExitCode.REFUSED);
        assertThat(err).hasToString("lockstep verify: protect of slow runs as job 1. Wait until it has ended.\n");
        assertThat(run("unprotect", "slow")).isEqualTo(ExitCode.OK);
    }

    @Test
    void shouldExamineAndExitWith1WhenSomethingIsMissing() {
        findings = List.of(new Finding("kvm", "", Finding.Status.WARNING, "there is none", "get one"));
        assertThat(run("doctor")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString("warning  kvm: there is none\n         cure: get one\n");
        findings = List.of(new Finding("nvme", "web1", Finding.Status.MISSING, "it has one", "use virtio"));
        assertThat(run("doctor")).isEqualTo(ExitCode.FAILED);
        assertThat(out).hasToString("missing  nvme of web1: it has one\n         cure: use virtio\n");
    }

    @Test
    void shouldExamineByItselfWhenNoAgentAnswers() {
        server.close();

        assertThat(run("doctor")).isEqualTo(ExitCode.FAILED);
        assertThat(out.toString(StandardCharsets.UTF_8))
                .contains("warning  agent: no agent answers at "
                        + AgentPaths.under(root).socket())
                .contains("missing  identity: no identity at ");
    }

    @Test
    void shouldPrintTheSameIdentityEveryTimeWithoutAnAgent() {
        server.close();
        assertThat(run("identity")).isEqualTo(ExitCode.OK);
        String first = out.toString(StandardCharsets.UTF_8);

        assertThat(first).matches("sha256:[0-9a-f]{64}\n");
        assertThat(run("identity")).isEqualTo(ExitCode.OK);
        assertThat(out).hasToString(first);
    }

    private int run(String... arguments) {
        out.reset();
        err.reset();
        List<String> all = new ArrayList<>(Arrays.asList(arguments));
        all.add(1, "--root");
        all.add(2, root.toString());
        return Main.run(all.toArray(String[]::new), out, err);
    }
}
