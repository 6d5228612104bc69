package io.lockstep.agent.doctor;

import io.lockstep.agent.VmOperations;
import io.lockstep.agent.view.DryRun;
import io.lockstep.agent.view.ProtectRequest;
import io.lockstep.agent.view.Role;
import io.lockstep.agent.view.VmSelector;
import io.lockstep.agent.view.VmSummary;
import io.lockstep.replication.LockstepException;
import java.util.List;

/** Whether each VM that runs here could be protected: what a dry run says. */
final class VmChecks {
    private static final String CHECK = "vm";

    private final VmOperations operations;
    private final LibvirtChecks libvirt;

    VmChecks(VmOperations operations, LibvirtChecks libvirt) {
        this.operations = operations;
        this.libvirt = libvirt;
    }

    void examine(List<Finding> findings) {
        try {
            for (VmSummary vm : operations.vms()) {
                libvirt.examine(vm.name(), vm.pid(), findings);
                if (vm.state().equals(VmSummary.OTHER_AGENT)) {
                    findings.add(Finding.ok(
                                    CHECK,
                                    "pid " + vm.pid() + " was started as a standby by another agent on this host ("
                                            + vm.qmpPath() + ")")
                            .about(vm.name()));
                } else if (vm.role() == Role.NONE && vm.pid() > 0) {
                    findings.add(examine(vm).about(vm.name()));
                } else if (vm.role() == Role.PRIMARY) {
                    findings.add(Finding.ok(CHECK, vm.state()).about(vm.name()));
                }
            }
        } catch (LockstepException e) {
            findings.add(Finding.missing(CHECK, "the VMs cannot be listed: " + e.getMessage(), "See the agent's log."));
        }
    }

    private Finding examine(VmSummary vm) {
        try {
            VmSelector selector = new VmSelector(VmSelector.Kind.PID, Long.toString(vm.pid()));
            DryRun dryRun = operations.dryRun(new ProtectRequest(selector, null, 0, null, null, false));
            return Finding.ok(
                    CHECK,
                    "QEMU " + dryRun.qemuVersion() + ", " + (dryRun.ramBytes() >> 20) + " MiB, can be protected with "
                            + dryRun.tracker());
        } catch (LockstepException e) {
            // Nothing is wrong with the VM: that a peer is missing, or which one is meant, is said of the host.
            return e.code().equals("peer-ambiguous")
                    ? Finding.ok(CHECK, "can be protected, once it is said to which peer")
                    : Finding.refused(CHECK, e);
        }
    }
}
