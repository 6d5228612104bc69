package io.lockstep.agent.doctor;

import io.lockstep.telemetry.source.MachineCheckSettings;
import io.lockstep.telemetry.source.Sysfs;
import java.nio.file.Path;
import java.util.List;

/** What hides events of the hardware, or delays them: without them a VM is moved only after its host has died. */
final class HardwareChecks {
    private final Path root;

    /** @param root of /sys and /proc */
    HardwareChecks(Path root) {
        this.root = root;
    }

    void examine(List<Finding> findings) {
        List<MachineCheckSettings.Hindrance> found = MachineCheckSettings.look(
                new Sysfs(root.resolve("sys")),
                new Sysfs(root.resolve("proc")),
                new Sysfs(root.resolve("sys/kernel/tracing")));
        for (MachineCheckSettings.Hindrance hindrance : found) {
            findings.add(Finding.warning("hardware-" + hindrance.name(), hindrance.detail(), hindrance.cure()));
        }
        if (found.isEmpty()) {
            findings.add(Finding.ok("hardware-machine-check", "machine checks are reported, and nothing delays them"));
        }
    }
}
