package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.client.JsonTree;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class HardwareCommandTest {
    @TempDir
    Path root;

    private ApiServer server;

    @BeforeEach
    void start() throws Exception {
        server = ApiServer.start(
                new FakeOperations(), List::of, AgentPaths.under(root).socket());
    }

    @AfterEach
    void stop() {
        server.close();
    }

    private String run(int status, String... arguments) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        assertThat(Main.run(arguments, out, err))
                .as(err.toString(StandardCharsets.UTF_8))
                .isEqualTo(status);
        return status == ExitCode.OK ? out.toString(StandardCharsets.UTF_8) : err.toString(StandardCharsets.UTF_8);
    }

    private String ask(String... arguments) {
        List<String> all = new ArrayList<>(List.of("hardware"));
        all.addAll(List.of(arguments));
        all.add("--root");
        all.add(root.toString());
        return run(ExitCode.OK, all.toArray(String[]::new));
    }

    @Test
    void shouldDrawThePictureOfTheMachine() {
        String picture = ask();
        assertThat(picture).isEqualTo("""
                this host: failing
                DRILL: 3 events of mirror.jsonl were replayed at 1970-01-01T00:00:00.500Z and
                  did not happen; 'lockstep hardware clear' ends it
                CPU0
                  ch1      A2       32G   failing   7/1
                memory
                           B2       32G   healthy
                  (errors: corrected/others)
                failing since 1970-01-01T00:00:01Z: DIMM CPU0 channel 1 slot 0 (A2), 32 GiB,
                    serial 12AB: 7 corrected, 1 other errors
                    memory failed over to its mirror
                    to do: Replace it.
                policy: from failing on: switchover dry-run, refuseNew dry-run; offlinePages
                    off, offlineCpus off, runCommand off
                  1970-01-01T00:00:00Z switchover dry-run: would switch web1 over to b, which is
                      healthy: DIMM A2 is failing
                sources:
                  trace deaf, 3 events, 2 lost: no events. Cure: Boot another kernel.
                """);
        assertThat(picture.lines()).allMatch(line -> line.length() <= MachinePicture.COLUMNS);
        assertThat(picture).doesNotContain("\u001b");
    }

    /** Two processors with eight channels each, two slots in each, and words that no line has room for. */
    @Test
    void shouldFitEightyColumnsWhateverTheMachine() throws Exception {
        StringBuilder modules = new StringBuilder();
        for (int i = 0; i < 32; i++) {
            modules.append(i == 0 ? "" : ",")
                    .append(
                            ("{\"label\":\"CPU_SrcID#0_MC#0_Chan#%d\",\"socket\":%d,\"controller\":%d,\"channel\":%d,\"slot\":%d,"
                                            + "\"bytes\":137438953472,\"state\":\"degrading\",\"corrected\":123456789,\"uncorrected\":4321}")
                                    .formatted(i, i / 16, i / 4 % 4, i / 2 % 2, i % 2));
        }
        String text = MachinePicture.of(
                JsonTree.parse("{\"state\":\"degrading\",\"modules\":[" + modules
                        + "],\"sources\":[{\"name\":\"kmsg\",\"detail\":\"" + "x".repeat(300) + "\"}]}"),
                false);
        assertThat(text.lines()).allMatch(line -> line.length() <= MachinePicture.COLUMNS);
        assertThat(text.lines().filter(line -> line.contains("degrading 123M/4k")))
                .hasSize(16);
        assertThat(text).contains("\nCPU0\n").contains("\nCPU1\n").contains("  mc3 ch1");
    }

    @Test
    void shouldColourStatesOnATerminalAlone() throws Exception {
        assertThat(MachinePicture.of(JsonTree.parse("{\"state\":\"watch\"}"), true))
                .startsWith("this host: \u001b[36mwatch\u001b[0m\n");
        assertThat(Terminal.colours(true, "", "xterm")).isTrue();
        assertThat(Terminal.colours(true, "1", "xterm")).isFalse();
        assertThat(Terminal.colours(true, "", "dumb")).isFalse();
        assertThat(Terminal.colours(false, "", "xterm")).isFalse();
    }

    @Test
    void shouldListEvents() {
        String line = "1970-01-01T00:00:01Z  deferred error on a DIMM: poison\n";
        assertThat(ask("events")).isEqualTo(line);
        assertThat(ask("events", "--since", "60")).isEmpty();
        assertThat(ask("events", "--since", "1970-01-01T00:00:00Z")).isEqualTo(line);
        assertThat(ask("events", "--since", "1970-01-01T00:00:02Z")).isEmpty();
        assertThat(ask("events", "--json")).startsWith("{\"events\":[{\"sequence\":5,");
        assertThat(ask("--json")).startsWith("{\"state\":\"failing\",");
        assertThat(run(ExitCode.USAGE, "hardware", "events", "--since", "yesterday"))
                .contains("'--since'")
                .contains(
                        "'yesterday' is none of how long ago as 90, 90s, 15m, 2h or 7d, or a time as 22:15, 2026-11-25,"
                                + " 2026-11-25T22:15 or 2026-11-25T22:15:00Z");
    }

    /** What follows must not go on for ever when nobody reads it, as behind {@code | head}. */
    @Test
    void shouldEndWhenNobodyReadsWhatFollows() {
        OutputStream closed = new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("Broken pipe");
            }
        };
        String[] arguments = {"hardware", "events", "--follow", "--root", root.toString()};
        assertThat(Main.run(arguments, closed, closed)).isEqualTo(ExitCode.FAILED);
    }

    @Test
    void shouldTakeTimesAndHowLongAgo() {
        Since since = new Since(Clock.fixed(Instant.parse("2026-11-25T12:00:00Z"), ZoneOffset.ofHours(1)));
        assertThat(since.convert("90")).isEqualTo("2026-11-25T11:58:30Z");
        assertThat(since.convert("90s")).isEqualTo("2026-11-25T11:58:30Z");
        assertThat(since.convert("15m")).isEqualTo("2026-11-25T11:45:00Z");
        assertThat(since.convert("2h")).isEqualTo("2026-11-25T10:00:00Z");
        assertThat(since.convert("7d")).isEqualTo("2026-11-18T12:00:00Z");
        assertThat(since.convert("2026-11-24")).isEqualTo("2026-11-23T23:00:00Z");
        assertThat(since.convert("2026-11-24 22:15")).isEqualTo("2026-11-24T21:15:00Z");
        assertThat(since.convert("2026-11-24T22:15:00Z")).isEqualTo("2026-11-24T22:15:00Z");
        assertThat(since.convert("09:30")).isEqualTo("2026-11-25T08:30:00Z");
        for (String wrong : List.of("", "-5", "5w", "25:00", "2026-13-01", "9999999999s")) {
            assertThatThrownBy(() -> since.convert(wrong))
                    .hasMessageStartingWith("'" + wrong + "' is none of how long");
        }
    }

    private static final String MIRROR =
            "{\"cpuid\":\"50654\",\"bank\":7,\"status\":\"8800000000000080\",\"misc\":\"8000000000000000\"}\n";

    @Test
    void shouldReplayWithoutAnAgentAndSayWhatItWouldHaveDone() throws Exception {
        Path file = Files.writeString(root.resolve("mirror.jsonl"), MIRROR + "{\"kind\":\"?\"}\n");
        Path configuration = AgentPaths.under(root).configuration();
        Files.createDirectories(configuration.getParent());
        Files.writeString(configuration, "[hardware]\nswitchover = \"on\"\ncommand = [\"/usr/bin/mail\"]\n");
        String[] replay = {"hardware", "replay", file.toString(), "--root", root.toString()};
        String stamp = "\\d{4}-\\d\\d-\\d\\dT[0-9:.]+Z  ";
        assertThat(run(ExitCode.OK, replay).replaceAll(stamp, "TIME  ")).isEqualTo("""
                recording: JSON, 1 events
                passed over: line 2: kind '?' is not known
                TIME  corrected error on memory of controller 0 channel 0: memory failed over to its mirror (mce)
                    runCommand (dry-run): /usr/bin/mail would run: corrected error on memory of controller 0 channel 0: memory failed over to its mirror (mce)
                TIME  memory of controller 0 channel 0 is failing, was healthy: corrected error on memory of controller 0 channel 0: memory failed over to its mirror (mce). Move the VMs away; replace memory of controller 0 channel 0.
                    switchover (on): protected VMs would move to their peers, the most important first, if the peers fare better
                    refuseNew (dry-run): new VMs and replicas would be refused
                at the worst: failing
                  failing  memory of controller 0 channel 0: 0 corrected, 1 other errors
                      corrected error on memory of controller 0 channel 0: memory failed over to its mirror (mce)
                      to do: Move the VMs away; replace memory of controller 0 channel 0.
                """);
        JsonTree json = JsonTree.parse(run(ExitCode.OK, "hardware", "replay", file.toString(), "--json"));
        assertThat(json.get("worst").text()).isEqualTo("failing");
        assertThat(json.get("malformed").elements().get(0).get("line").integer())
                .isEqualTo(2);
        assertThat(json.get("steps")
                        .elements()
                        .get(1)
                        .get("actions")
                        .elements()
                        .get(0)
                        .get("mode")
                        .text())
                .isEqualTo("dry-run");
    }

    @Test
    void shouldSayWhatIsWrongWithARecording() throws Exception {
        Path absent = root.resolve("absent");
        assertThat(run(ExitCode.REFUSED, "hardware", "replay", absent.toString()))
                .isEqualTo("lockstep hardware replay: cannot read " + absent + ": there is no such file.\n");
        assertThat(run(ExitCode.REFUSED, "hardware", "replay", root.toString())).endsWith(": it is no regular file.\n");
        Path prose = Files.writeString(root.resolve("prose"), "Dear reader,\n");
        assertThat(run(ExitCode.REFUSED, "hardware", "replay", prose.toString()))
                .startsWith(
                        "lockstep hardware replay: " + prose + " holds no hardware event: line 1: neither JSON lines");
    }

    @Test
    void shouldFeedTheAgentAsADrill() throws Exception {
        Path file = Files.writeString(root.resolve("mirror.jsonl"), MIRROR);
        assertThat(ask("replay", file.toString(), "--agent"))
                .isEqualTo(MIRROR.length()
                        + " events of mirror.jsonl were fed to the agent as a drill. 'lockstep hardware' shows what followed,"
                        + " 'lockstep hardware clear' ends it.\n");
        String damaged = MIRROR + "{\"kind\":\"?\"}\n";
        assertThat(ask("replay", Files.writeString(file, damaged).toString(), "--agent"))
                .startsWith("passed over: line 2: kind '?' is not known\n" + damaged.length() + " events of mirror");
        Path empty = Files.writeString(root.resolve("empty"), MIRROR);
        assertThat(run(ExitCode.REFUSED, "hardware", "replay", empty.toString(), "--agent", "--root", root.toString()))
                .isEqualTo("lockstep hardware replay: empty holds no event.\n");
    }

    @Test
    void shouldClearWhatWasReplaced() {
        assertThat(ask("clear", "A2")).isEqualTo("1 parts cleared.\n");
        assertThat(ask("clear")).isEqualTo("2 parts cleared.\n");
        assertThat(ask("clear", "Z9"))
                .isEqualTo("0 parts cleared: none has a name with 'Z9'. 'lockstep hardware' shows the names.\n");
    }

    @Test
    void shouldDecodeWithoutAnAgent() {
        String failover = "8800000000000080";
        String misc = "0x8000000000000000";
        assertThat(run(ExitCode.OK, "hardware", "decode", failover, "--misc", misc, "--bank", "7", "--cpuid", "50654"))
                .isEqualTo(
                        "corrected error on memory of controller 0 channel 0: memory failed over to its mirror (mce)\n");
        assertThat(run(ExitCode.OK, "hardware", "decode", "9c2040000000011b", "--ipid", "9600350f00", "--json"))
                .isEqualTo(
                        "{\"kind\":\"memory_error\",\"severity\":\"corrected\",\"component\":\"DIMM channel 3 slot 0, rank 0\","
                                + "\"count\":1,\"immediate\":false,\"line\":\"corrected error on DIMM channel 3 slot 0, rank 0: DRAM ECC error in the memory controller"
                                + " (mce)\"}\n");
        assertThat(run(ExitCode.USAGE, "hardware", "decode", "xyz"))
                .isEqualTo(
                        "lockstep hardware decode: Invalid value for positional parameter at index 0 (STATUS): 'xyz' is"
                                + " not a hexadecimal number of 64 bits. 'lockstep hardware decode --help' shows the options.\n");
    }

    @Test
    void shouldTakeEveryNumberOfAMachineCheck() {
        String deferred = "9c00100000000000";
        assertThat(run(ExitCode.OK, "hardware", "decode", deferred, "--cpuid", "0x800f12"))
                .as("an AMD by its family")
                .startsWith("deferred error");
        assertThat(run(ExitCode.OK, "hardware", "decode", deferred, "--synd", "1"))
                .as("an AMD by what only those have")
                .startsWith("deferred error");
        assertThat(run(ExitCode.OK, "hardware", "decode", deferred, "--cpuid", "50654"))
                .doesNotContain("deferred");
        String srar = run(
                ExitCode.OK,
                "hardware",
                "decode",
                "0xbd80000000000134",
                "--mcgstatus",
                "7",
                "--mcgcap",
                "0x1000c14",
                "--addr",
                "1234000",
                "--misc",
                "8c",
                "--bank",
                "0x1",
                "--cpuid",
                "50654");
        assertThat(srar).startsWith("uncorrected error, action required").contains("0x1234000");
        for (String option : List.of("--misc", "--addr", "--mcgstatus", "--mcgcap", "--synd", "--ipid")) {
            assertThat(run(ExitCode.USAGE, "hardware", "decode", deferred, option, "12345678901234567"))
                    .contains("'" + option + "'")
                    .contains("'12345678901234567' is not a hexadecimal number of 64 bits");
        }
        assertThat(run(ExitCode.USAGE, "hardware", "decode", deferred, "--cpuid", "123456789"))
                .contains("'123456789' is not a hexadecimal number of 32 bits");
        for (String bank : List.of("256", "0x100", "-1", "ff", "1.5")) {
            assertThat(run(ExitCode.USAGE, "hardware", "decode", deferred, "--bank=" + bank))
                    .contains("'" + bank + "' is not a number in 0..255");
        }
        assertThat(run(ExitCode.USAGE, "hardware", "decode")).contains("STATUS");
    }
}
