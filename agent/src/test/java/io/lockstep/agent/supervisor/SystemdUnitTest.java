package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SystemdUnitTest {
    private static final Path UNIT =
            Path.of(System.getProperty("lockstep.project", ".."), "agent/systemd/lockstep-agent.service");

    @TempDir
    Path directory;

    @Test
    void shouldRestartAtOnceAndSpareTheVms() throws Exception {
        Map<String, String> settings = new HashMap<>();
        for (String line : Files.readAllLines(UNIT)) {
            int equals = line.indexOf('=');
            if (equals > 0 && !line.startsWith("#")) {
                // Capabilities are taken away in two lines, which add up.
                assertThat(settings.put(line.substring(0, equals), line.substring(equals + 1)))
                        .matches(before -> before == null || before.startsWith("~CAP_"));
            }
        }

        assertThat(settings)
                .containsEntry("Type", "notify")
                .containsEntry("Restart", "always")
                .containsEntry("RestartSec", "100ms")
                .containsEntry("StartLimitIntervalSec", "0")
                .containsEntry("WatchdogSec", "1")
                .containsEntry("WatchdogSignal", "SIGKILL")
                .containsEntry("ExecStopPost", "-/usr/bin/lockstep release-output")
                .containsEntry("KillMode", "process")
                .containsEntry("OOMScoreAdjust", "-900")
                .containsEntry("OOMPolicy", "continue")
                // What these take, a QEMU, HotSpot or a source of hardware events needs.
                .doesNotContainKeys(
                        "MemoryDenyWriteExecute",
                        "MemoryMax",
                        "ProtectProc",
                        "PrivateDevices",
                        "DeviceAllow",
                        "DevicePolicy",
                        "ProtectClock",
                        "ProtectKernelLogs",
                        "ProtectKernelTunables",
                        "PrivateUsers");
    }

    @Test
    void shouldSatisfySystemd() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/systemd-analyze")), "no systemd-analyze here");
        Path unit = directory.resolve("lockstep-agent.service");
        Files.writeString(unit, Files.readString(UNIT).replaceAll("/usr/bin/lockstep [a-z-]+", "/bin/true"));
        Process verify = new ProcessBuilder("/usr/bin/systemd-analyze", "verify", "--man=no", unit.toString())
                .redirectErrorStream(true)
                .start();
        String said = new String(verify.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

        assertThat(verify.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(said).doesNotContain("lockstep-agent.service:");
        assertThat(verify.exitValue()).as(said).isZero();
    }
}
