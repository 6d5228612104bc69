package io.lockstep.agent.doctor;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whether the kernel can tell written pages. */
final class KernelChecks {
    private static final int WANTED_MAJOR = 6;
    private static final int WANTED_MINOR = 7;

    private final Procfs procfs;

    KernelChecks(Procfs procfs) {
        this.procfs = procfs;
    }

    void examine(List<Finding> findings) {
        findings.add(version());
        findings.add(overcommit());
    }

    private Finding version() {
        String release = procfs.read("proc/sys/kernel/osrelease");
        Matcher matcher = Pattern.compile("^(\\d{1,4})\\.(\\d{1,4})").matcher(release);
        if (!matcher.find()) {
            return Finding.warning(
                    "kernel-version",
                    "Linux " + release + " has no version that is understood",
                    "Use Linux 6.7 or newer.");
        }
        int major = Integer.parseInt(matcher.group(1));
        int minor = Integer.parseInt(matcher.group(2));
        if (major > WANTED_MAJOR || (major == WANTED_MAJOR && minor >= WANTED_MINOR)) {
            return Finding.ok("kernel-version", "Linux " + release);
        }
        return Finding.warning(
                "kernel-version",
                "Linux " + release + " < 6.7: no asynchronous userfaultfd write protection and no PAGEMAP_SCAN",
                "Use Linux 6.7 or newer; until then soft-dirty bits are used, or, without those, hashes.");
    }

    private Finding overcommit() {
        long mode = procfs.number("proc/sys/vm/overcommit_memory", 0);
        return mode != 2
                ? Finding.ok("vm-overcommit", "vm.overcommit_memory is " + mode)
                : Finding.warning(
                        "vm-overcommit",
                        "vm.overcommit_memory is 2: a standby may get no memory although there is some",
                        "sysctl vm.overcommit_memory=0, or raise vm.overcommit_ratio.");
    }
}
