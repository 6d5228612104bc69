package io.lockstep.agent.doctor;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import java.util.List;

/** Whether this process may look into QEMU. */
final class PrivilegeChecks {
    /** {@code include/uapi/linux/capability.h}. */
    private static final int CAP_SYS_PTRACE = 19;

    private static final String CURE =
            "Run the agent as root, or give it CAP_SYS_PTRACE (AmbientCapabilities= in its unit).";

    private final Procfs procfs;

    PrivilegeChecks(Procfs procfs) {
        this.procfs = procfs;
    }

    void examine(List<Finding> findings) {
        boolean ptrace = ptraceCapability();
        findings.add(
                ptrace
                        ? Finding.ok("cap-sys-ptrace", "this process has CAP_SYS_PTRACE")
                        : Finding.missing(
                                "cap-sys-ptrace",
                                "this process has no CAP_SYS_PTRACE: QEMUs of other users are closed to it",
                                CURE));
        findings.add(yama(ptrace));
        findings.add(pidfd());
    }

    private boolean ptraceCapability() {
        String effective = procfs.field("proc/self/status", "CapEff");
        return effective.matches("[0-9a-f]{1,16}")
                && (Long.parseUnsignedLong(effective, 16) >>> CAP_SYS_PTRACE & 1) == 1;
    }

    private Finding yama(boolean ptrace) {
        long scope = procfs.number("proc/sys/kernel/yama/ptrace_scope", 0);
        String detail = "kernel.yama.ptrace_scope is " + scope;
        if (scope >= 3) {
            return Finding.missing(
                    "yama-ptrace-scope",
                    detail + ": nobody may ptrace, until the next boot",
                    "Set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and boot again.");
        }
        return scope == 0 || ptrace
                ? Finding.ok("yama-ptrace-scope", detail)
                : Finding.missing("yama-ptrace-scope", detail + ": only with CAP_SYS_PTRACE", CURE);
    }

    private static Finding pidfd() {
        try (Pidfd self = Pidfd.open(ProcessHandle.current().pid())) {
            Descriptors.close(self.getfd(0));
            return Finding.ok("pidfd-getfd", "pidfd_getfd works");
        } catch (LinuxException e) {
            return Finding.missing(
                    "pidfd-getfd",
                    "pidfd_getfd fails: " + e.getMessage(),
                    "Use Linux 5.6 or newer; in a container or a unit, allow the system calls of @debug in its seccomp filter.");
        }
    }
}
