package io.lockstep.agent.policy;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.policy.ActionLog.Outcome;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.replica.HostCondition;
import io.lockstep.telemetry.health.ComponentHealth;
import org.jspecify.annotations.Nullable;

/** Whether this host should take VMs that it does not have yet. Any thread; does not wait. */
public final class NewVms implements HostCondition {
    static final String ACTION = "refuseNew";

    private final AgentConfig config;
    private final HostHealth health;
    private final ActionLog log;

    /** Over how the host fares. */
    public NewVms(AgentConfig config, HostHealth health, ActionLog log) {
        this.config = config;
        this.health = health;
        this.log = log;
    }

    @Override
    public int health() {
        return health.code();
    }

    @Override
    public @Nullable LockstepException refusal(String vm) {
        return refusal(vm, "a replica of " + vm, "Keep its replica on a healthy host");
    }

    /**
     * Whether a VM may be protected here.
     *
     * @throws LockstepException {@code host-failing}
     */
    public void requireWelcome(String vm) throws LockstepException {
        LockstepException refusal = refusal(vm, vm, "Run it on a healthy host");
        if (refusal != null) {
            throw refusal;
        }
    }

    private @Nullable LockstepException refusal(String vm, String what, String cure) {
        ComponentHealth worst = health.worst();
        String mode = config.hardware().refuseNew();
        if (worst == null || worst.state().compareTo(config.hardware().switchoverState()) < 0 || mode.equals("off")) {
            return null;
        }
        String why = Reason.of(worst);
        if (mode.equals("dry-run")) {
            log.note(ACTION, vm, Outcome.DRY_RUN, "would refuse " + what + ": " + why);
            return null;
        }
        log.note(ACTION, vm, Outcome.REFUSED, "refused " + what + ": " + why);
        return new LockstepException(
                "host-failing",
                "this host refuses " + what + ": " + why + ". " + cure
                        + "; when the part is replaced, `lockstep hardware clear` says so; refuseNew = \"off\" under [hardware] allows it.");
    }
}
