package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WorkspaceTest {
    @TempDir
    Path elsewhere;

    @Test
    void shouldKillTheRunsProcessesAndNoOthersWhenTheRunEnds() throws Exception {
        Workspace workspace = new Workspace();
        Process ours = Sleeper.start(workspace.directory().toString());
        Process others = Sleeper.start(elsewhere.toString());
        try {
            workspace.killAll();

            assertThat(ours.waitFor(10, TimeUnit.SECONDS)).isTrue();
            assertThat(others.isAlive()).isTrue();
        } finally {
            others.destroyForcibly();
            ours.destroyForcibly();
            workspace.remove(true);
        }
    }

    @Test
    void shouldKeepTheLogsAndRemoveTheRestWhenTheRunFailed() throws Exception {
        Workspace workspace = new Workspace();
        Path log = Files.writeString(workspace.directory().resolve("agent.log"), "why");
        Path replicas = Files.createDirectories(elsewhere.resolve("replicas/vm"));
        Files.writeString(replicas.resolve("ram"), "pages");
        workspace.owns(replicas);

        workspace.remove(false);

        assertThat(log).exists();
        assertThat(replicas).doesNotExist();

        workspace.remove(true);

        assertThat(workspace.directory()).doesNotExist();
    }
}
