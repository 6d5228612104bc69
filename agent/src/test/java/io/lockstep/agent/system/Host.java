package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.Daemon;
import io.lockstep.agent.VmOperations;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.ReplicaView;
import io.lockstep.agent.view.Switchover;
import io.lockstep.agent.view.Verification;
import io.lockstep.agent.view.VmSelector;
import java.util.Optional;
import org.awaitility.core.ConditionTimeoutException;

/** One of the two agents, as its operator uses it. */
record Host(String name, AgentPaths paths, Daemon daemon) {
    VmOperations verbs() {
        return daemon.operations();
    }

    /** Protects the QEMU of this pid; returns when it is protected. */
    ProtectionStatus protect(long pid) throws Exception {
        return protect(new VmSelector(VmSelector.Kind.PID, Long.toString(pid)));
    }

    /** As {@link #protect(long)}, of a VM that is called otherwise. */
    ProtectionStatus protect(VmSelector vm) throws Exception {
        return verbs().protect(new ProtectRequest(vm, null, 0, null, null, false), (phase, done, total) -> {});
    }

    /** As {@link #protect(long)}, and the peer has a standby ready to take the VM over. */
    ProtectionStatus protectWithStandby(long pid, Host peer) throws Exception {
        ProtectionStatus status = protect(pid);
        Waits.until("a standby of " + status.vm() + " on " + peer.name, 30, () -> peer.replica(status.vm())
                .map(ReplicaView::standbyReady)
                .orElse(false));
        return status;
    }

    Switchover switchover(String vm) throws Exception {
        return verbs().switchover(vm, (phase, done, total) -> {});
    }

    void unprotect(String vm) throws Exception {
        verbs().unprotect(vm, (phase, done, total) -> {});
        // Of an agent that dies now: the next one must not protect it again.
        assertThat(paths.state().resolve("protections").toFile().list()).noneMatch(file -> file.startsWith(vm + "."));
    }

    /** Every page of the VM is also in its replica. */
    Verification verify(String vm) throws Exception {
        Verification found = verbs().verify(vm, (phase, done, total) -> {});
        assertThat(found.pagesCompared()).isPositive();
        assertThat(found.differing()).isEmpty();
        assertThat(found.pagesDiffering()).isZero();
        return found;
    }

    ProtectionStatus protection(String vm) {
        return verbs().protections().stream()
                .filter(p -> p.vm().equals(vm))
                .findFirst()
                .orElseThrow();
    }

    /** Returns when so many more epochs are acknowledged. */
    void awaitEpochs(String vm, int more) throws Exception {
        long until = protection(vm).ackedEpoch() + more;
        Waits.until("epoch " + until + " of " + vm + " acknowledged", 60, () -> {
            ProtectionStatus now = protection(vm);
            assertThat(now.state().name())
                    .as("%s", now.state().reason())
                    .isNotIn("failed", "vm-died", "released", "handed-over");
            return now.ackedEpoch() >= until;
        });
    }

    Optional<ReplicaView> replica(String vm) {
        return verbs().replicas().stream().filter(r -> r.vm().equals(vm)).findFirst();
    }

    /** Returns when this host runs the VM. */
    Promotion awaitPromotion(String vm) throws Exception {
        try {
            Waits.until("the promotion of " + vm + " on " + name, 30, () -> promotion(vm) != null);
        } catch (ConditionTimeoutException e) {
            throw new AssertionError(e.getMessage() + " " + replica(vm), e);
        }
        return promotion(vm);
    }

    Promotion promotion(String vm) {
        return replica(vm).map(ReplicaView::promotion).orElse(null);
    }
}
