package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lockstep.agent.cli.TestHost.Ran;
import io.lockstep.agent.client.AgentClient;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Verbs at the wrong time, on the wrong host, of the wrong VM: refused, and the VM stays protected as it was. */
@Tag("system")
@Timeout(180)
class MisuseTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @TempDir
    static Path directory;

    private static TestHost host;
    private static TestHost peer;
    private static TestQemu vm;

    @BeforeAll
    static void start() throws Exception {
        host = new TestHost(directory, "a");
        peer = new TestHost(directory, "b").peer("a", host).start();
        host.peer("b", peer).start();
        vm = TestQemu.start(directory, "web");
        Ran done = host.run("protect", "web");
        assertThat(done.exit()).as(done.toString()).isEqualTo(ExitCode.OK);
        assertThat(done.out()).matches("web is protected: full copy in [0-9.]+ s, tracker [a-z-]+\\.\n");
    }

    @AfterAll
    static void stop() {
        host.close();
        peer.close();
        vm.close();
    }

    /** The refusal in both forms; and epochs of the VM go on being acknowledged. */
    private static void assertRefused(TestHost at, String code, String message, String... arguments) throws Exception {
        String[] json = Arrays.copyOf(arguments, arguments.length + 1);
        json[arguments.length] = "--json";
        Ran ran = at.run(json);
        assertThat(ran.err()).isEqualTo("lockstep " + arguments[0] + ": " + message + "\n");
        JsonNode error = JSON.readTree(ran.out()).path("error");
        assertThat(error.path("code").asText()).isEqualTo(code);
        assertThat(error.path("message").asText()).isEqualTo(message);
        assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
    }

    private static JsonNode protection() throws Exception {
        return JSON.readTree(host.run("status", "web", "--json").out())
                .path("protections")
                .path(0);
    }

    private static void assertStillProtected() throws Exception {
        long acked = protection().path("ackedEpoch").asLong();
        assertThat(TestHost.within(() -> {
                    try {
                        return protection().path("ackedEpoch").asLong() > acked + 2;
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                }))
                .isTrue();
        JsonNode now = protection();
        assertThat(now.path("state").path("name").asText()).isEqualTo("protected");
        assertThat(now.path("fullCopies").asInt()).isEqualTo(1);
        assertThat(vm.process.isAlive()).isTrue();
    }

    @Test
    void shouldRefuseToProtectAVmTwice() throws Exception {
        String already = "web is protected already: `lockstep status` shows it, `lockstep unprotect` ends it.";
        assertRefused(host, "already-protected", already, "protect", "web");
        assertRefused(host, "already-protected", already, "protect", vm.pid());
        assertRefused(host, "already-protected", already, "protect", vm.qmp.toString());
        assertRefused(host, "already-protected", already, "protect", "--name", "web", "--dry-run");
        assertStillProtected();
    }

    @Test
    void shouldRefuseVerbsOfTheOtherHost() throws Exception {
        assertRefused(
                host,
                "journal-elsewhere",
                "the journal of web is with its peer b: run `lockstep journal web` there.",
                "journal",
                "web");
        assertRefused(
                peer,
                "primary-alive",
                "The primary of web is connected and runs it. Use `lockstep switchover` there, or --force here.",
                "failover",
                "web");
        assertRefused(
                peer,
                "primary-alive",
                "The primary of web is connected and replicates it here. Use `lockstep unprotect web` there.",
                "discard",
                "web");
        for (String verb : List.of("unprotect", "verify", "switchover")) {
            assertRefused(
                    peer,
                    "not-protected",
                    "VM web is not protected by this host, which has a replica of it: see `lockstep status web`.",
                    verb,
                    "web");
        }
        for (String verb : List.of("failover", "discard")) {
            assertRefused(
                    host,
                    "replica-unknown",
                    "There is no replica of a VM web on this host. `lockstep status` lists those that there are.",
                    verb,
                    "web");
        }
        assertStillProtected();
    }

    @Test
    void shouldRefuseVerbsOfAVmThatIsNotProtected() throws Exception {
        try (TestQemu other = TestQemu.start(directory, "other")) {
            for (String verb : List.of("unprotect", "verify", "switchover")) {
                assertRefused(
                        host,
                        "not-protected",
                        "no VM other is protected here: `lockstep vms` lists what runs here, and how.",
                        verb,
                        "other");
            }
            String unknown =
                    "There is no replica of a VM other on this host. `lockstep status` lists those that there are.";
            assertRefused(peer, "replica-unknown", unknown, "failover", "other", "--force");
            assertRefused(peer, "replica-unknown", unknown, "discard", "other");
            assertRefused(peer, "replica-unknown", unknown, "journal", "other");
            other.assertUntouched();
        }
        assertStillProtected();
    }

    @Test
    void shouldNameJobsAfterTheVmHoweverItIsAskedFor() throws Exception {
        List<String> ways = List.of("web", vm.pid(), vm.qmp.toString());
        for (String way : ways) {
            assertThat(host.run("verify", way).exit()).isEqualTo(ExitCode.OK);
            assertThat(host.run("protect", way).exit()).isEqualTo(ExitCode.REFUSED);
        }
        JsonNode jobs = JSON.readTree(new AgentClient(host.paths.socket())
                        .get("/v1/jobs?limit=1000")
                        .body())
                .path("jobs");
        assertThat(jobs).hasSizeGreaterThanOrEqualTo(2 * ways.size());
        assertThat(jobs).extracting(job -> job.path("vm").asText()).doesNotContain(vm.pid(), vm.qmp.toString());
        assertStillProtected();
    }

    @Test
    void shouldRefuseVerbsOfAVmThatIsNotHere() throws Exception {
        for (String verb : List.of("unprotect", "verify", "switchover")) {
            assertRefused(
                    host,
                    "no-such-vm",
                    "no VM nobody is protected here: `lockstep vms` lists what runs here, and how.",
                    verb,
                    "nobody");
        }
        for (String verb : List.of("failover", "drill", "discard")) {
            assertRefused(
                    peer,
                    "no-such-vm",
                    "There is no replica of a VM nobody on this host. `lockstep status` lists those that there are.",
                    verb,
                    "nobody");
        }
        String jobs = new AgentClient(host.paths.socket()).get("/v1/jobs").body()
                + new AgentClient(peer.paths.socket()).get("/v1/jobs").body();
        assertThat(jobs).doesNotContain("nobody");
        assertStillProtected();
    }

    @Test
    void shouldRefuseANameThatTwoVmsHave() throws Exception {
        try (TestQemu first = TestQemu.start(directory, "twin");
                TestQemu second = TestQemu.start(directory, "twin-2", command("twin"))) {
            Ran ran = host.run("protect", "twin");
            assertThat(ran.exit()).isEqualTo(ExitCode.REFUSED);
            assertThat(ran.err())
                    .startsWith("lockstep protect: 2 QEMUs named twin: ")
                    .contains("twin (pid " + first.pid() + ")", "twin (pid " + second.pid() + ")")
                    .endsWith(". Name one by its pid.\n");
            first.assertUntouched();
            second.assertUntouched();
        }
    }

    @Test
    void shouldTellAStandbyFromAVm() throws Exception {
        String standby = JSON.readTree(peer.run("status", "web", "--json").out())
                .path("replicas")
                .path(0)
                .path("standbyPid")
                .asText();
        assertRefused(
                peer,
                "vm-is-standby",
                "web (pid " + standby + ") is the standby of the replica held here; the VM runs on its primary's host."
                        + " Protect it there, or make it run here with `lockstep failover web`.",
                "protect",
                standby);
        assertThat(peer.run("vms").out()).containsPattern("web +" + standby + " +replica +protected");
        assertThat(host.run("vms").out()).containsPattern("web +" + standby + " +none +other-agent");
        assertThat(host.run("doctor").out())
                .contains("ok       vm of web: pid " + standby
                        + " was started as a standby by another agent on this host (");
        assertStillProtected();
    }

    private static List<String> command(String name) {
        return List.of(
                "qemu-system-x86_64", "-name", name, "-machine", "q35", "-m", "64M", "-nodefaults", "-display", "none");
    }
}
