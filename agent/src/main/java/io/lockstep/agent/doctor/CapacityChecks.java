package io.lockstep.agent.doctor;

import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Room for replicas, and speed for guests. */
final class CapacityChecks {
    /** Smaller than any VM that is worth a replica. */
    private static final long REPLICA_BYTES_MIN = 256L << 20;

    private final Procfs procfs;
    private final Path replicas;

    CapacityChecks(Procfs procfs, Path replicas) {
        this.procfs = procfs;
        this.replicas = replicas;
    }

    void examine(List<Finding> findings) {
        findings.add(kvm());
        findings.add(room());
    }

    private Finding kvm() {
        Path device = procfs.path("dev/kvm");
        if (!Files.exists(device)) {
            return Finding.warning(
                    "kvm",
                    "there is no /dev/kvm: a VM that runs with KVM cannot be resumed here",
                    "Load kvm_intel or kvm_amd; switch virtualization on in the firmware, or nested virtualization in the host.");
        }
        return Files.isReadable(device) && Files.isWritable(device)
                ? Finding.ok("kvm", "/dev/kvm can be used")
                : Finding.warning(
                        "kvm",
                        "/dev/kvm cannot be opened for writing",
                        "Add the agent's user to the group kvm, or run it as root.");
    }

    private Finding room() {
        Path existing = replicas;
        for (Path parent = replicas.getParent();
                !Files.exists(existing) && parent != null;
                parent = parent.getParent()) {
            existing = parent;
        }
        try {
            FileStore store = Files.getFileStore(existing);
            long usable = store.getUsableSpace();
            String detail = replicas + " (" + store.type() + ") has " + (usable >> 20) + " MiB free of "
                    + (store.getTotalSpace() >> 20) + " MiB";
            if (usable < REPLICA_BYTES_MIN) {
                return Finding.missing(
                        "replica-memory",
                        detail + " < " + (REPLICA_BYTES_MIN >> 20) + " MiB: no replica fits",
                        "mount -o remount,size=SIZE /dev/shm, or set replica.directory to another tmpfs or hugetlbfs.");
            }
            return store.type().equals("tmpfs") || store.type().equals("hugetlbfs")
                    ? Finding.ok("replica-memory", detail)
                    : Finding.warning(
                            "replica-memory",
                            detail + ": replica memory on a disk is slow",
                            "Set replica.directory to a tmpfs or hugetlbfs.");
        } catch (IOException e) {
            return Finding.missing(
                    "replica-memory",
                    "cannot look at " + existing + ": " + e.getMessage(),
                    "Set replica.directory to a directory on tmpfs.");
        }
    }
}
