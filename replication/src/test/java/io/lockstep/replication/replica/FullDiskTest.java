package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.link.SessionReply;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.HelloStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A peer whose file system fills up, a real one: what is committed stays. */
@Tag("system")
@Timeout(60)
class FullDiskTest {
    private static final long LEFT_BYTES = 16 << 20;

    @TempDir
    Path directory;

    private Path state;

    @BeforeEach
    void mount() throws Exception {
        state = Files.createDirectory(directory.resolve("state"));
        run("mount", "-t", "tmpfs", "-o", "size=256m", "lockstep-test", state.toString());
    }

    @AfterEach
    void unmount() throws Exception {
        // Chronicle unmaps a closed journal in its own time.
        run("umount", "--lazy", state.toString());
    }

    @Test
    void shouldKeepTheReplicaOverARestartWhenThereIsNoRoomForAJournal() throws Exception {
        try (SimulatedHosts hosts = new SimulatedHosts(directory)) {
            hosts.protect();
            Path filler = state.resolve("filler");
            Files.write(filler, new byte[(int) (state.toFile().getUsableSpace() - LEFT_BYTES)]);
            hosts.peer.restart();
            assertThat(hosts.peer.replica.status().state()).isEqualTo(ReplicaState.AWAITING_AGENT);
            SessionReply refused = hosts.connect(1, 1);
            assertThat(refused.status()).isEqualTo(HelloStatus.REFUSED);
            assertThat(refused.code()).isEqualTo("peer-disk-too-small");
            Files.delete(filler);
            assertThat(hosts.connect(1, 1).status()).isEqualTo(HelloStatus.RESUME);
            hosts.epoch(EpochKind.DELTA);
            assertThat(hosts.peer.hash(hosts.primary.blocks)).isEqualTo(hosts.primary.hash());
        }
    }

    private static void run(String... command) throws IOException, InterruptedException {
        assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
    }
}
