package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.agent.events.EventLog;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.telemetry.health.HealthState;
import java.util.List;
import org.junit.jupiter.api.Test;

class NewVmsTest {
    private final HostHealth health = new HostHealth();
    private final ActionLog log = new ActionLog(new EventLog());

    private NewVms newVms(String configuration) throws LockstepException {
        return new NewVms(Parts.config(configuration), health, log);
    }

    private void fare(HealthState state) {
        health.update(List.of(Parts.part(Parts.A2, state)));
    }

    @Test
    void shouldTellPeersHowThisHostFaresOnceItIsWatched() throws Exception {
        NewVms condition = newVms("");
        assertThat(condition.health()).isEqualTo(ReportedHealth.UNKNOWN);
        health.update(List.of());
        assertThat(condition.health()).isEqualTo(HealthState.HEALTHY.code());
        fare(HealthState.FAILING);
        assertThat(condition.health()).isEqualTo(HealthState.FAILING.code());
    }

    @Test
    void shouldRefuseNewVmsAndReplicasOnAFailingHost() throws Exception {
        NewVms newVms = newVms("refuseNew = \"on\"");
        fare(HealthState.DEGRADING);
        newVms.requireWelcome("web1");
        assertThat(newVms.refusal("web1")).isNull();
        fare(HealthState.FAILING);
        String why = ": DIMM A2 is failing: mirror failover. ";
        String cure = " on a healthy host; when the part is replaced, `lockstep hardware clear` says so;"
                + " refuseNew = \"off\" under [hardware] allows it.";
        assertThatThrownBy(() -> newVms.requireWelcome("web1"))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("host-failing"))
                .hasMessage("this host refuses web1" + why + "Run it" + cure);
        assertThat(newVms.refusal("db1"))
                .hasMessage("this host refuses a replica of db1" + why + "Keep its replica" + cure);
        assertThat(Parts.texts(log))
                .containsExactly(
                        "refused refused web1: DIMM A2 is failing: mirror failover",
                        "refused refused a replica of db1: DIMM A2 is failing: mirror failover");
    }

    @Test
    void shouldOnlySayThatItWouldRefuseUnlessConfigured() throws Exception {
        fare(HealthState.FAILED);
        newVms("").requireWelcome("web1");
        assertThat(Parts.texts(log)).containsExactly("dry-run would refuse web1: DIMM A2 is failed: mirror failover");
        newVms("refuseNew = \"off\"").requireWelcome("web1");
        assertThat(log.actions()).hasSize(1);
    }
}
