package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.FakeOperations;
import io.lockstep.agent.api.ApiServer;
import io.lockstep.agent.client.JsonTree;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
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
        assertThat(ask()).isEqualTo("""
                this host: failing
                  failing  DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB: 7 corrected, 1 other errors
                      memory failed over to its mirror
                      to do: Replace it.
                  healthy  DIMM B2, 32 GiB
                switchover when hardware fails: dry-run
                  1970-01-01T00:00:00Z  would switch web1 over to its peer
                sources:
                  trace  deaf  3 events  2 lost  no events. Cure: Boot another kernel.
                """);
    }

    @Test
    void shouldColourStatesOnATerminal() throws Exception {
        assertThat(HardwareCommand.text(JsonTree.parse("{\"state\":\"watch\"}"), true))
                .startsWith("this host: \u001b[36mwatch    \u001b[0m\n");
    }

    @Test
    void shouldListEvents() {
        String line = "1970-01-01T00:00:01Z  deferred error on a DIMM: poison\n";
        assertThat(ask("events")).isEqualTo(line);
        assertThat(ask("events", "--since", "60")).isEmpty();
        assertThat(ask("events", "--json")).startsWith("{\"events\":[{\"sequence\":5,");
        assertThat(ask("--json")).startsWith("{\"state\":\"failing\",");
    }

    @Test
    void shouldClearWhatWasReplaced() {
        assertThat(ask("clear", "A2")).isEqualTo("1 parts cleared.\n");
        assertThat(ask("clear")).isEqualTo("2 parts cleared.\n");
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
                                + "\"line\":\"corrected error on DIMM channel 3 slot 0, rank 0: DRAM ECC error in the memory controller"
                                + " (mce)\"}\n");
        assertThat(run(ExitCode.USAGE, "hardware", "decode", "xyz"))
                .isEqualTo(
                        "lockstep hardware decode: Invalid value for positional parameter at index 0 (STATUS): 'xyz' is"
                                + " not a hexadecimal number of 64 bits. 'lockstep hardware decode --help' shows the options.\n");
    }
}
