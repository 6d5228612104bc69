package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.MemoryChannel;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.link.SessionReply;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** All replicas of a host: which there are. */
class ReplicaHostTest {
    private static final int REPLICAS_MAX = 256;

    @TempDir
    Path directory;

    private final SimulatedPrimary primary = new SimulatedPrimary(8, 32, 4);

    private static final class NoStandbys implements StandbyFactory {
        @Override
        public Standby spawn(SessionHello hello, List<Path> blockFiles) throws LockstepException {
            throw new LockstepException("standby-none", "There is none in this test.");
        }

        @Override
        public boolean toldToRun(String vmName, ProcessIdentity standby) {
            return true;
        }
    }

    private ReplicaHost start() throws LockstepException {
        ReplicaConfig config = SimulatedPeer.config(
                directory.resolve("state"),
                directory.resolve("memory"),
                new JournalLimits(1 << 20, 8 << 20, 3_600_000));
        return new ReplicaHost(config, new NoStandbys(), null, null, new ReplicaListener() {}, HostCondition.UNKNOWN);
    }

    /** What a VM of that name is answered, whose disk both hosts see; there is no fence here. */
    private String refusal(ReplicaHost host, String vm) throws Exception {
        primary.vmName = vm;
        MemoryChannel.Pair pair = MemoryChannel.pair(10, 1_000);
        HelloCodec.send(pair.left(), primary.hello(-1, -1));
        host.accept(pair.right());
        AtomicReference<SessionReply> reply = new AtomicReference<>();
        pair.left()
                .receive((buffer, offset, length) -> reply.set(HelloCodec.decodeReply(buffer, offset, length)), 20_000);
        return reply.get().code();
    }

    @Test
    void shouldForgetNamesThatNothingIsLeftOfWhenThereAreManyOthers() throws Exception {
        primary.sharedDisks = List.of("san (/san/lun0)");
        try (ReplicaHost host = start()) {
            for (int i = 0; i < REPLICAS_MAX + 50; i++) {
                assertThat(refusal(host, "vm-" + i)).as("VM %d", i).isEqualTo("shared-disk-no-fence");
            }
            assertThat(host.status()).hasSizeLessThanOrEqualTo(REPLICAS_MAX);
            assertThat(refusal(host, "vm-0")).isEqualTo("shared-disk-no-fence");
        }
    }

    @Test
    void shouldLeaveAloneWhatIsNoReplicasDirectory() throws Exception {
        for (String stray : List.of("lost+found", "%zz", ".snapshot", "vm%2a")) {
            Files.createDirectories(directory.resolve("state").resolve(stray));
        }
        Files.createDirectories(directory.resolve("state").resolve("vm%2A"));
        try (ReplicaHost host = start()) {
            assertThat(host.status()).extracting(ReplicaStatus::vm).containsExactly("vm*");
        }
        assertThat(directory.resolve("state")).isDirectoryContaining("glob:**/lost+found");
    }
}
