package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Boots the real guests. */
@Tag("system")
class GuestVmTest {
    private static final Duration BOOT = Duration.ofSeconds(60);

    @TempDir
    Path directory;

    @ParameterizedTest
    @EnumSource(Guest.class)
    void shouldPrintTheRecomputedStatesWhenTheGuestRunsOneSweep(Guest guest) throws Exception {
        Path guests = buildGuests();
        String accelerator = GuestVm.accelerator(guests, directory);
        ChainCheck check = new ChainCheck(guest.chain());
        int sweepTicks = guest.chain().sweepTicks();
        GuestVm vm = null;
        try (SerialLog serial = new SerialLog(directory.resolve("guest.serial"))) {
            vm = GuestVm.start(guest, "guest", accelerator, guests, directory);
            Deadline.await("boot", BOOT, () -> serial.count() > 0);
            Deadline.await("one sweep", BOOT, () -> serial.count() > sweepTicks);
            check.take(serial.from(0));
        } finally {
            if (vm != null) {
                vm.kill();
            }
        }

        assertThat(check.before()).isGreaterThan(sweepTicks);
    }

    private static Path buildGuests() throws IOException, InterruptedException {
        Path script = Path.of(System.getProperty("lockstep.project", ""), "agent/guests/build.sh");
        Process build = new ProcessBuilder(script.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String directory = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
        assertThat(build.waitFor(120, TimeUnit.SECONDS)).isTrue();
        assertThat(build.exitValue()).isZero();
        return Path.of(directory);
    }
}
