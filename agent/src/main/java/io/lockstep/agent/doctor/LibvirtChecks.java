package io.lockstep.agent.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;

/** What libvirt would do to a VM that is a domain of its own. Reads libvirt's files alone, and asks no daemon. */
final class LibvirtChecks {
    private static final String CHECK = "libvirt";

    private final Path pids;
    private final Path autostart;

    /** @param root of the file system */
    LibvirtChecks(Path root) {
        pids = root.resolve("run/libvirt/qemu");
        autostart = root.resolve("etc/libvirt/qemu/autostart");
    }

    /** Adds a finding if the VM is a domain. */
    void examine(String name, long pid, List<Finding> findings) {
        if (name.isEmpty() || name.contains("/") || !isDomain(name, pid)) {
            return;
        }
        Path link = autostart.resolve(name + ".xml");
        Finding finding = Files.exists(link, LinkOption.NOFOLLOW_LINKS)
                ? Finding.warning(
                        CHECK,
                        "libvirt starts domain " + name + " when this host boots (" + link
                                + "): after a failover it would run here and on the peer",
                        "virsh autostart --disable " + name + ".")
                : Finding.ok(CHECK, "a domain, not started by itself when this host boots");
        findings.add(finding.about(name));
    }

    private boolean isDomain(String name, long pid) {
        try {
            return Files.readString(pids.resolve(name + ".pid")).trim().equals(Long.toString(pid));
        } catch (IOException e) {
            return false;
        }
    }
}
