package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FenceTest {
    @TempDir
    Path directory;

    private Fence fence;

    @BeforeEach
    void write() throws Exception {
        fence = new Fence(directory);
        fence.write();
    }

    @Test
    void shouldKillTheNamedProcessesAndSucceedWhenTheyLive() throws Exception {
        Process process = Sleeper.start(directory.toString());
        fence.nameProcesses(process.pid() + " 4194305");

        assertThat(exitStatus()).isZero();
        assertThat(process.waitFor(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void shouldLeaveAProcessAloneWhenItOnlyHasTheProcessIdOfOne() throws Exception {
        Process other = Sleeper.start("another run");
        try {
            fence.nameProcesses(Long.toString(other.pid()));

            assertThat(exitStatus()).isZero();
            assertThat(other.isAlive()).isTrue();
        } finally {
            other.destroyForcibly();
        }
    }

    @Test
    void shouldFailWhenNoProcessesWereNamed() throws Exception {
        assertThat(exitStatus()).isEqualTo(1);
    }

    private int exitStatus() throws Exception {
        Process process = new ProcessBuilder(fence.command().toString()).start();
        assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
        return process.exitValue();
    }
}
