package io.lockstep.agent.policy;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.view.HardwareView;
import io.lockstep.replication.LockstepException;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.event.EventKind;
import io.lockstep.telemetry.event.HardwareEvent;
import io.lockstep.telemetry.event.Raw;
import io.lockstep.telemetry.event.Severity;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthState;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Parts of a host that fare badly, for the tests. */
final class Parts {
    static final Component A2 = Component.Memory.ANYWHERE.labelled("A2");

    private Parts() {}

    static ComponentHealth part(Component component, HealthState state) {
        return new ComponentHealth(component, state, 0, 0, 0, 1, List.of("an older reason", "mirror failover"), "");
    }

    static HardwareEvent event(Component component, Severity severity, long address) {
        return new HardwareEvent(
                1_000, EventKind.MEMORY_ERROR, severity, component, address, 1, "mce", "memory read error", Raw.NONE);
    }

    static AgentConfig config(String hardware) throws LockstepException {
        String vms = "[vms.db1]\npriority = 10\n[vms.web1]\npriority = -1\n";
        return AgentConfig.parse("agent.toml", "[hardware]\n" + hardware + "\n" + vms, AgentPaths.under(Path.of("/")));
    }

    /** Outcome and text of each. */
    static List<String> texts(ActionLog log) {
        return texts(log.actions().stream());
    }

    private static List<String> texts(Stream<HardwareView.Action> actions) {
        return actions.map(action -> action.outcome() + " " + action.text()).toList();
    }
}
