package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.link.TestHello;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ProtectionsTest {
    /** Above the kernel's highest, PID_MAX_LIMIT. */
    private static final long NO_PID = 1L << 23;

    @TempDir
    Path root;

    @Test
    void shouldStartWhenAVmIsGoneWhosePeerIsNoLongerConfigured() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        EventLog events = new EventLog();
        ProtectionStore store = new ProtectionStore(paths.state().resolve("protections"));
        store.put(new ProtectionStore.Entry(
                "web",
                UUID.randomUUID(),
                NO_PID,
                1,
                "removed",
                25,
                "auto",
                "lockstep",
                false,
                0,
                -1,
                TestHello.micro()));
        try (Protections protections = new Protections(
                paths,
                AgentConfig.parse("agent.toml", "", paths),
                new LinkDialer(Identity.openOrCreate(root.resolve("identity")), LinkTimeouts.DEFAULT),
                events,
                HostIdentity.UNKNOWN,
                new HostHealth())) {
            protections.takeUp();
            assertThat(protections.all()).isEmpty();
            AgentEvent event = events.after(0, 10).events().get(0);
            assertThat(event.kind()).isEqualTo(AgentEvent.ERROR);
            assertThat(event.subject()).isEqualTo("web");
            assertThat(event.state()).isEqualTo("peer-unknown");
        }
        assertThat(store.all())
                .as("its peer is told once it is configured again")
                .hasSize(1);
    }
}
