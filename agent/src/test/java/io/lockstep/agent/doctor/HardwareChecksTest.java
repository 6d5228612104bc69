package io.lockstep.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What hides events or delays them, each in a tree that stands for /: named, with the value that was found and the cure. */
class HardwareChecksTest {
    private static final String SETTINGS = "sys/devices/system/machinecheck/machinecheck0/";
    private static final String TRACING = "sys/kernel/tracing/instances/";

    @TempDir
    Path root;

    @BeforeEach
    void allIsWell() throws Exception {
        file(SETTINGS + "ignore_ce", "0");
        file(SETTINGS + "dont_log_ce", "0");
        file(SETTINGS + "cmci_disabled", "0");
        file(SETTINGS + "check_interval", "300");
        file("proc/cmdline", "BOOT_IMAGE=/vmlinuz quiet");
        file(TRACING + "lockstep/per_cpu/cpu0/stats", "entries: 7\noverrun: 0");
        file(TRACING + "lockstep/events/mce/enable", "1");
    }

    private void file(String path, String content) throws Exception {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, content + "\n");
    }

    private List<String> findings() {
        List<Finding> findings = new ArrayList<>();
        new HardwareChecks(root).examine(findings);
        assertThat(findings)
                .allMatch(f -> f.status() == Finding.Status.OK || !f.cure().isEmpty());
        return findings.stream()
                .map(f -> f.status() + " " + f.check() + ": " + f.detail()
                        + (f.cure().isEmpty() ? "" : " => " + f.cure()))
                .toList();
    }

    @Test
    void shouldBeContentWithAHostThatHidesNothing() {
        assertThat(findings())
                .containsExactly("OK hardware-machine-check: machine checks are reported, and nothing delays them");
    }

    @Test
    void shouldNameCorrectedErrorsThatAreNotLookedForOrNotTold() throws Exception {
        file(SETTINGS + "ignore_ce", "1");
        file(SETTINGS + "dont_log_ce", "1");
        assertThat(findings())
                .containsExactly(
                        "WARNING hardware-ignore-ce: ignore_ce is 1: corrected errors are not looked for => echo 0 > /"
                                + SETTINGS + "ignore_ce",
                        "WARNING hardware-dont-log-ce: dont_log_ce is 1: corrected errors are not told => echo 0 > /"
                                + SETTINGS + "dont_log_ce");
    }

    @Test
    void shouldNameWhatDelaysThem() throws Exception {
        file(SETTINGS + "cmci_disabled", "1");
        assertThat(findings())
                .singleElement()
                .asString()
                .startsWith("WARNING hardware-cmci: cmci_disabled is 1: a corrected error shows up to 300 s late => ");
        file(SETTINGS + "cmci_disabled", "0");
        file(SETTINGS + "check_interval", "0");
        assertThat(findings())
                .singleElement()
                .asString()
                .startsWith(
                        "WARNING hardware-check-interval: check_interval is 0: errors without an interrupt are never"
                                + " found => echo 300 > ");
    }

    @Test
    void shouldNameTheCollectorAndTheCommandLine() throws Exception {
        file("sys/kernel/debug/ras/cec/array", "");
        file("proc/cmdline", "quiet mce=ignore_ce");
        assertThat(findings())
                .satisfiesExactly(
                        option -> assertThat(option)
                                .isEqualTo("WARNING hardware-command-line: the kernel was booted with mce=ignore_ce =>"
                                        + " Take mce=ignore_ce off its command line."),
                        collector -> assertThat(collector).startsWith("WARNING hardware-ras-cec: "));
    }

    /** Our own ring is read; a tracer that does not look at hardware may fill its ring as it likes. */
    @Test
    void shouldNameReadersThatAreDeaf() throws Exception {
        file(TRACING + "rasdaemon/per_cpu/cpu0/stats", "entries: 2\noverrun: 0");
        file(TRACING + "rasdaemon/per_cpu/cpu11/stats", "entries: 1\noverrun: 0");
        file(TRACING + "collector/per_cpu/cpu0/stats", "entries: 5");
        file(TRACING + "collector/events/ras/enable", "X");
        file(TRACING + "profiler/per_cpu/cpu0/stats", "entries: 9");
        file(TRACING + "profiler/events/mce/enable", "0");
        assertThat(findings())
                .containsExactly(
                        "WARNING hardware-trace-reader: collector has 5 events that it has not read: it waits for its ring to"
                                + " fill => echo 0 > /sys/kernel/tracing/instances/collector/buffer_percent",
                        "WARNING hardware-rasdaemon: rasdaemon has 3 events that it has not read: it waits for its ring to"
                                + " fill => echo 0 > /sys/kernel/tracing/instances/rasdaemon/buffer_percent");
    }

    @Test
    void shouldNameAKernelWithoutMachineChecks() throws Exception {
        Files.move(root.resolve("sys/devices"), root.resolve("elsewhere"));
        assertThat(findings()).singleElement().asString().startsWith("WARNING hardware-machine-check: ");
    }
}
