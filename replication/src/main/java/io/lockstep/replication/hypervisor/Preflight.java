package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.RemoteMemory;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Refuses what cannot be protected, before anything of the VM is touched: all of this only reads. One thread.
 */
public final class Preflight {
    private static final Pattern DEVICE = Pattern.compile("^\\s*dev: ([^,]+),", Pattern.MULTILINE);
    private static final Pattern NETDEV = Pattern.compile("type=(vhost-user|vhost-vdpa)\\b");
    private static final int O_DIRECT = 040000;
    private static final Set<String> PROTECTABLE_STATES = Set.of("running", "paused", "prelaunch");
    private static final Set<String> IDLE_MIGRATION = Set.of("", "none", "completed", "cancelled", "failed");

    private final QmpConnection qmp;
    private final long pid;
    private final Path descriptors;

    /** Looks at the QEMU that this connection leads to. */
    public Preflight(QmpConnection qmp, long pid) {
        this.qmp = qmp;
        this.pid = pid;
        descriptors = Path.of("/proc/" + pid + "/fd");
    }

    /**
     * Checks everything.
     *
     * @throws LockstepException the first reason against it, with its cure
     */
    public QemuFacts check() throws LockstepException {
        checkVersion(qmp.version());
        checkPrivilege();
        Set<String> devices = devices(qmp.hmp("info qtree"));
        for (String device : devices) {
            checkDevice(device);
        }
        checkNetwork(qmp.hmp("info network"));
        checkMigration(qmp.execute("query-migrate"));
        String state = qmp.execute("query-status").path("status").asText();
        checkState(state);
        boolean discards = devices.stream().anyMatch(d -> d.startsWith("virtio-balloon") || d.startsWith("virtio-mem"));
        return new QemuFacts(
                qmp.version(),
                DeviceState.machineType(qmp),
                devices,
                PluggedDevices.of(qmp),
                discards,
                earlyArmingSafe());
    }

    static void checkVersion(QemuVersion version) throws LockstepException {
        if (version.compareTo(QemuVersion.OLDEST) < 0) {
            throw new LockstepException(
                    "qemu-too-old",
                    "QEMU " + version + " < " + QemuVersion.OLDEST + ", the oldest that Lockstep protects."
                            + " Upgrade QEMU and start the VM anew.");
        }
    }

    static void checkDevice(String device) throws LockstepException {
        if (device.equals("nvme") || device.equals("nvme-ns")) {
            throw new LockstepException(
                    "device-nvme",
                    "The VM has an NVMe device (" + device + "), and QEMU crashes when its state is saved."
                            + " Use virtio-blk or virtio-scsi instead.");
        }
        if (device.startsWith("vfio-")) {
            throw new LockstepException(
                    "device-vfio",
                    "The VM has a passed-through device (" + device + "), which writes memory unseen and whose state"
                            + " cannot be saved. Use a virtio device instead.");
        }
        if (device.startsWith("vhost-user-")) {
            throw new LockstepException(
                    "device-vhost-user",
                    "The VM has a vhost-user device (" + device + "), whose other process writes memory unseen."
                            + " Use a virtio device served by QEMU instead.");
        }
        if (device.startsWith("vhost-vdpa-")) {
            throw new LockstepException(
                    "device-vdpa",
                    "The VM has a vDPA device (" + device + "), which writes memory unseen."
                            + " Use a virtio device served by QEMU instead.");
        }
    }

    static void checkNetwork(String network) throws LockstepException {
        Matcher m = NETDEV.matcher(network);
        if (m.find()) {
            boolean vdpa = m.group(1).equals("vhost-vdpa");
            throw new LockstepException(
                    vdpa ? "device-vdpa" : "device-vhost-user",
                    "The VM has a " + m.group(1) + " network backend, which writes memory unseen."
                            + " Use a tap or bridge backend instead.");
        }
    }

    static void checkMigration(JsonNode migration) throws LockstepException {
        List<String> reasons = new ArrayList<>();
        migration.path("blocked-reasons").forEach(r -> reasons.add(r.asText()));
        if (!reasons.isEmpty()) {
            throw new LockstepException(
                    "migration-blocked",
                    "QEMU says that this VM cannot be saved: " + String.join("; ", reasons)
                            + ". Start it without the device or option that is named.");
        }
        String status = migration.path("status").asText();
        if (!IDLE_MIGRATION.contains(status)) {
            throw new LockstepException(
                    "migration-active",
                    "A migration or snapshot is under way (status " + status
                            + "). Wait for its end or cancel it (migrate_cancel).");
        }
    }

    static void checkState(String state) throws LockstepException {
        if (!PROTECTABLE_STATES.contains(state)) {
            throw new LockstepException(
                    "vm-state",
                    "The VM's run state is " + state + ", not one of running, paused, prelaunch."
                            + " Bring it to one of them (cont, system_reset) first.");
        }
    }

    /** The types of all devices, buses inside each other included. */
    static Set<String> devices(String qtree) {
        Set<String> types = new TreeSet<>();
        Matcher m = DEVICE.matcher(qtree);
        while (m.find()) {
            types.add(m.group(1));
        }
        return types;
    }

    /** Tries what replication will do: list the mappings, and read a page. */
    private void checkPrivilege() throws LockstepException {
        try {
            NativeBlock page = new NativeBlock(4096);
            for (ProcMaps.Mapping m : ProcMaps.of(pid)) {
                if (m.permissions().startsWith("rw") && m.path().equals("[heap]")) {
                    // SAFETY: the block is as long as what is read and held until the read has returned.
                    new RemoteMemory(pid).read(m.start(), page.address(), page.length());
                    break;
                }
            }
        } catch (IOException e) {
            throw privilege(e);
        }
    }

    private LockstepException privilege(IOException e) {
        return new LockstepException(
                "qemu-no-privilege",
                "Not enough privilege over QEMU (pid " + pid + "): " + e.getMessage()
                        + ". Run the agent as root or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.",
                e);
    }

    /** From the flags of every open file, as fdinfo shows them in octal, and from the vhost devices among them. */
    private boolean earlyArmingSafe() throws LockstepException {
        try (Stream<Path> list = Files.list(descriptors)) {
            for (Path fd : list.toList()) {
                if (endangersEarlyArming(fd)) {
                    return false;
                }
            }
            return true;
        } catch (IOException e) {
            throw privilege(e);
        }
    }

    private boolean endangersEarlyArming(Path fd) throws IOException {
        try {
            String target = Files.readSymbolicLink(fd).toString();
            if (target.startsWith("/dev/vhost") || target.startsWith("/dev/vfio")) {
                return true;
            }
            Path info = descriptors
                    .resolveSibling("fdinfo")
                    .resolve(fd.getFileName().toString());
            for (String line : Files.readAllLines(info)) {
                if (line.startsWith("flags:")) {
                    return (Integer.parseInt(line.substring(6).trim(), 8) & O_DIRECT) != 0;
                }
            }
            return false;
        } catch (NoSuchFileException e) {
            return false;
        }
    }
}
