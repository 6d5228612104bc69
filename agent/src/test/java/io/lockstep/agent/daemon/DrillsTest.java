package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.events.EventLog;
import io.lockstep.agent.policy.HostHealth;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.link.HostIdentity;
import io.lockstep.replication.link.Identity;
import io.lockstep.replication.link.LinkDialer;
import io.lockstep.replication.link.LinkTimeouts;
import io.lockstep.replication.replica.HostCondition;
import io.lockstep.replication.replica.ReplicaConfig;
import io.lockstep.replication.replica.ReplicaHost;
import io.lockstep.replication.replica.ReplicaListener;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DrillsTest {
    @TempDir
    Path root;

    @Test
    void shouldCountRoundsThatTakeLong() throws Exception {
        AgentPaths paths = AgentPaths.under(root);
        AgentConfig config = AgentConfig.parse("agent.toml", "", paths);
        EventLog events = new EventLog();
        AtomicLong jumpNs = new AtomicLong();
        Protections protections = new Protections(
                paths,
                config,
                new LinkDialer(Identity.openOrCreate(root.resolve("identity")), LinkTimeouts.DEFAULT),
                events,
                HostIdentity.UNKNOWN,
                new HostHealth());
        try (ReplicaHost replicas = new ReplicaHost(
                        ReplicaConfig.defaults(root.resolve("replicas"), root.resolve("memory")),
                        new Standbys(config, root.resolve("standby")),
                        null,
                        null,
                        new ReplicaListener() {},
                        HostCondition.UNKNOWN);
                Drills drills = new Drills(
                        config.drill(),
                        root.resolve("state"),
                        replicas,
                        protections,
                        events,
                        () -> System.nanoTime() + jumpNs.get())) {
            DutyCycle rounds = drills.rounds();
            assertThat(rounds.stalls()).isZero();
            await().until(() -> {
                // Again and again: the first time its thread may not have begun.
                jumpNs.addAndGet(100 * DutyCycle.STALL_NS);
                return rounds.stalls() > 0;
            });
        } finally {
            protections.close();
        }
    }
}
