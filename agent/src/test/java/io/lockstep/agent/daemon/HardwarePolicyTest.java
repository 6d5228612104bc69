package io.lockstep.agent.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class HardwarePolicyTest {
    private final Queue<String> moved = new ConcurrentLinkedQueue<>();

    private HardwarePolicy policy(String toml) throws LockstepException {
        String vms = "[vms.db1]\npriority = 10\n[vms.web1]\npriority = -1\n";
        AgentConfig config = AgentConfig.parse("agent.toml", toml + vms, AgentPaths.under(Path.of("/")));
        return new HardwarePolicy(config, () -> List.of("web1", "app2", "app1", "db1"), vm -> {
            if (vm.equals("app1")) {
                throw new LockstepException("peer-away", "its peer does not answer.");
            }
            moved.add(vm);
        });
    }

    private static void change(HardwarePolicy policy, HealthState before, HealthState now) {
        Component place = Component.Memory.ANYWHERE.labelled("A2");
        policy.changed(new ComponentHealth(place, now, 0, 0, 0, 1, List.of(), ""), before);
    }

    private static List<String> actions(HardwarePolicy policy, int count) {
        await().atMost(Duration.ofSeconds(30)).until(() -> policy.actions().size() == count);
        return policy.actions().stream().map(HardwareView.Action::text).toList();
    }

    @Test
    void shouldMoveTheMostImportantVmFirstAndGoOnWhenOneIsRefused() throws Exception {
        try (HardwarePolicy policy = policy("[hardware]\nswitchover = \"on\"\n")) {
            change(policy, HealthState.HEALTHY, HealthState.FAILING);
            assertThat(actions(policy, 8))
                    .containsExactly(
                            "switching db1 over to its peer: DIMM A2 is failing",
                            "db1 runs on its peer",
                            "switching app1 over to its peer: DIMM A2 is failing",
                            "app1 was not switched over: its peer does not answer.",
                            "switching app2 over to its peer: DIMM A2 is failing",
                            "app2 runs on its peer",
                            "switching web1 over to its peer: DIMM A2 is failing",
                            "web1 runs on its peer");
            assertThat(moved).containsExactly("db1", "app2", "web1");
        }
    }

    @Test
    void shouldOnlySayWhatItWouldDoUnlessConfiguredOtherwise() throws Exception {
        try (HardwarePolicy policy = policy("")) {
            change(policy, HealthState.WATCH, HealthState.FAILED);
            assertThat(actions(policy, 4).get(0)).isEqualTo("would switch db1 over to its peer: DIMM A2 is failed");
            assertThat(moved).isEmpty();
        }
    }

    @Test
    void shouldMoveNothingWhenTurnedOff() throws Exception {
        try (HardwarePolicy policy = policy("[hardware]\nswitchover = \"off\"\nswitchoverState = \"degrading\"\n")) {
            change(policy, HealthState.WATCH, HealthState.DEGRADING);
            assertThat(actions(policy, 1))
                    .containsExactly("nothing is switched over, as configured: DIMM A2 is degrading");
        }
    }

    @Test
    void shouldActOnceWhenTheStateIsPassedAndNeverForAGuest() throws Exception {
        try (HardwarePolicy policy = policy("[hardware]\nswitchoverState = \"degrading\"\n")) {
            change(policy, HealthState.HEALTHY, HealthState.WATCH);
            change(policy, HealthState.DEGRADING, HealthState.FAILING);
            policy.changed(
                    new ComponentHealth(new Component.Guest("web1"), HealthState.FAILED, 0, 0, 0, 1, List.of(), ""),
                    HealthState.HEALTHY);
            change(policy, HealthState.WATCH, HealthState.DEGRADING);
            assertThat(actions(policy, 4)).allMatch(action -> action.endsWith("DIMM A2 is degrading"));
        }
    }
}
