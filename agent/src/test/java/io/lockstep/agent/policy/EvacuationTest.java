package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.lockstep.agent.events.AgentEvent;
import io.lockstep.agent.events.EventLog;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.ReportedHealth;
import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.HealthState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class EvacuationTest {
    private static final Duration LONG = Duration.ofSeconds(30);

    private final EventLog events = new EventLog();
    private final ActionLog log = new ActionLog(events);
    private final HostHealth health = new HostHealth();
    private final List<String> order = new CopyOnWriteArrayList<>();
    private final List<Vm> vms = new CopyOnWriteArrayList<>();
    private final AtomicInteger moved = new AtomicInteger();
    private @Nullable Evacuation evacuation;

    /** A VM that leaves the list when it is moved. */
    private final class Vm implements MovableVm {
        final String name;
        volatile int peerHealth = HealthState.HEALTHY.code();
        volatile String obstacle = "";
        volatile boolean lingers;
        volatile boolean gone;
        volatile @Nullable LockstepException refusal;

        Vm(String name) {
            this.name = name;
            vms.add(this);
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public String peer() {
            return "host-b";
        }

        @Override
        public String obstacle() {
            return obstacle;
        }

        @Override
        public boolean runsHere() {
            return !gone;
        }

        @Override
        public int peerHealth() {
            return peerHealth;
        }

        @Override
        public CompletableFuture<?> move() {
            LockstepException now = refusal;
            if (now != null) {
                return CompletableFuture.failedFuture(now);
            }
            order.add(name);
            if (lingers) {
                obstacle = "it is handed-over";
                gone = true;
            } else {
                vms.remove(this);
            }
            return CompletableFuture.completedFuture(0);
        }
    }

    private void start(String configuration) throws LockstepException {
        evacuation = new Evacuation(
                Parts.config(configuration), health, log, () -> new ArrayList<>(vms), () -> {}, moved::incrementAndGet);
    }

    private void fare(HealthState state) {
        health.update(List.of(Parts.part(Parts.A2, state)));
        evacuation.wake();
    }

    private List<String> texts(int count) {
        await().atMost(LONG).until(() -> log.actions().size() >= count);
        return Parts.texts(log);
    }

    @AfterEach
    void close() {
        if (evacuation != null) {
            evacuation.close();
        }
    }

    @Test
    void shouldMoveTheMostImportantVmFirstWithEvidenceInEventAndLog() throws Exception {
        List.of("web1", "app2", "app1", "db1").forEach(Vm::new);
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        assertThat(texts(8).subList(0, 2))
                .containsExactly(
                        "started switching db1 over to host-b, which is healthy: DIMM A2 is failing: mirror failover",
                        "done db1 runs on host-b now: DIMM A2 is failing: mirror failover");
        assertThat(order).containsExactly("db1", "app1", "app2", "web1");
        await().atMost(LONG).untilAsserted(() -> assertThat(moved).hasValue(4));
        AgentEvent first = events.after(0, 10).events().get(0);
        assertThat(first.kind()).isEqualTo(AgentEvent.HARDWARE_ACTION);
        assertThat(first.subject()).isEqualTo("db1");
        assertThat(first.state()).isEqualTo("started");
        assertThat(first.text())
                .isEqualTo(
                        "switchover: switching db1 over to host-b, which is healthy: DIMM A2 is failing: mirror failover");
    }

    @Test
    void shouldOnlySayWhatItWouldDoUnlessConfiguredOtherwise() throws Exception {
        new Vm("web1");
        start("");
        fare(HealthState.FAILED);
        assertThat(texts(1))
                .containsExactly(
                        "dry-run would switch web1 over to host-b, which is healthy: DIMM A2 is failed: mirror failover");
        assertThat(order).isEmpty();
    }

    @Test
    void shouldMoveNothingWhenTurnedOff() throws Exception {
        new Vm("web1");
        start("switchover = \"off\"\nswitchoverState = \"degrading\"");
        fare(HealthState.DEGRADING);
        assertThat(texts(1))
                .containsExactly("off web1 is not switched over, as configured: DIMM A2 is degrading: mirror failover");
        assertThat(order).isEmpty();
    }

    @Test
    void shouldMoveFromWorseToBetterAloneAndAsSoonAsThePeerIsBetter() throws Exception {
        Vm vm = new Vm("web1");
        vm.peerHealth = ReportedHealth.UNKNOWN;
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        assertThat(texts(1).get(0))
                .isEqualTo("refused web1 stays: its peer host-b has not said how its hardware fares;"
                        + " DIMM A2 is failing: mirror failover");
        vm.peerHealth = HealthState.FAILED.code();
        assertThat(texts(2).get(1))
                .isEqualTo("refused web1 stays: its peer host-b, which is failed, is no better than this host;"
                        + " DIMM A2 is failing: mirror failover");
        vm.peerHealth = HealthState.FAILING.code();
        assertThat(texts(3).get(2)).contains("host-b, which is failing, is no better");
        assertThat(order).isEmpty();
        vm.peerHealth = HealthState.DEGRADING.code();
        assertThat(texts(5).get(4)).isEqualTo("done web1 runs on host-b now: DIMM A2 is failing: mirror failover");
        assertThat(order).containsExactly("web1");
    }

    @Test
    void shouldSayNothingTwiceHoweverTheEvidenceGrows() throws Exception {
        Vm vm = new Vm("web1");
        vm.peerHealth = HealthState.FAILED.code();
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        texts(1);
        fare(HealthState.FAILING);
        fare(HealthState.FAILING);
        vm.peerHealth = HealthState.HEALTHY.code();
        assertThat(texts(3)).hasSize(3);
    }

    @Test
    void shouldWaitForAVmThatCannotBeMovedYetAndGoOnWithTheOthers() throws Exception {
        Vm db = new Vm("db1");
        db.obstacle = "it is syncing";
        new Vm("web1");
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        assertThat(texts(3).get(0)).startsWith("refused db1 cannot be switched over yet, it is syncing: DIMM A2");
        assertThat(order).containsExactly("web1");
        db.obstacle = "";
        texts(5);
        assertThat(order).containsExactly("web1", "db1");
    }

    @Test
    void shouldSayNothingOfAVmThatWasMovedAndIsStillListed() throws Exception {
        new Vm("db1").lingers = true;
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        texts(2);
        new Vm("web1");
        evacuation.wake();
        assertThat(texts(4)).noneMatch(text -> text.startsWith("refused"));
        assertThat(order).containsExactly("db1", "web1");
    }

    @Test
    void shouldTryAgainWhenAMoveFailsAndGoOnWithTheOthers() throws Exception {
        Vm db = new Vm("db1");
        db.refusal = new LockstepException("switchover-busy", "its disks are slow");
        new Vm("web1");
        start("switchover = \"on\"");
        fare(HealthState.FAILING);
        assertThat(texts(4).get(1))
                .isEqualTo(
                        "failed db1 was not switched over (switchover-busy), and is tried again in 2 s: its disks are slow");
        assertThat(order).containsExactly("web1");
        db.refusal = null;
        texts(6);
        assertThat(order).containsExactly("web1", "db1");
    }

    @Test
    void shouldNotMoveVmsForWhatAGuestDoesToItself() throws Exception {
        new Vm("web1");
        start("switchover = \"on\"");
        health.update(List.of(
                Parts.part(new Component.Guest("web1"), HealthState.FAILED),
                Parts.part(Parts.A2, HealthState.DEGRADING)));
        assertThat(health.state()).isEqualTo(HealthState.DEGRADING);
        evacuation.wake();
        health.update(List.of(Parts.part(new Component.Guest("web1"), HealthState.FAILED)));
        assertThat(health.state()).isEqualTo(HealthState.HEALTHY);
        fare(HealthState.FAILING);
        assertThat(texts(2).get(0)).contains("DIMM A2 is failing");
    }
}
