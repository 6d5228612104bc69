package io.lockstep.agent.daemon;

import io.lockstep.agent.policy.MovableVm;
import io.lockstep.replication.protection.ProtectedVm;
import io.lockstep.replication.protection.ProtectionState;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** A protected VM as the hardware's policy moves it: by a planned switchover. */
record Movable(ProtectedVm vm) implements MovableVm {
    static List<Movable> all(List<ProtectedVm> vms) {
        return vms.stream().map(Movable::new).toList();
    }

    @Override
    public String name() {
        return vm.ticket().vmName();
    }

    @Override
    public String peer() {
        return vm.peer().name();
    }

    @Override
    public String obstacle() {
        if (vm.state() != ProtectionState.PROTECTED) {
            return "it is " + Views.label(vm.state());
        }
        return vm.standbyReady() ? "" : "no standby is ready there";
    }

    @Override
    public boolean runsHere() {
        return !vm.state().qemuGone();
    }

    @Override
    public int peerHealth() {
        return vm.peerHealth();
    }

    @Override
    public CompletableFuture<?> move() {
        return vm.switchover();
    }
}
