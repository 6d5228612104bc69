package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.NearestName;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A disk of a VM that its guest can write.
 *
 * @param node QEMU's name of the node whose writes are mirrored
 * @param qdev id of the device that the guest sees; empty if it has none
 * @param disk as the peer knows it
 * @param shared whether both hosts see its content, so that nothing of it is copied
 */
public record GuestDisk(String node, String qdev, ReplicatedDisk disk, boolean shared) {
    private static final Pattern PERIPHERAL = Pattern.compile("/machine/peripheral/([^/]+)(/.*)?");

    /**
     * The writable disks of a VM. Left out are empty drives, read-only media, which both hosts must have, and flash, whose content is memory.
     *
     * @throws LockstepException {@code qmp-error}
     */
    public static List<GuestDisk> find(QmpConnection qmp) throws LockstepException {
        List<GuestDisk> disks = new ArrayList<>();
        for (JsonNode block : qmp.execute("query-block")) {
            JsonNode inserted = block.path("inserted");
            String device = device(block);
            if (inserted.isMissingNode() || inserted.path("ro").asBoolean() || isFlash(qmp, block)) {
                continue;
            }
            JsonNode image = inserted.path("image");
            disks.add(new GuestDisk(
                    inserted.path("node-name").asText(),
                    qdev(block.path("qdev").asText()),
                    new ReplicatedDisk(
                            device,
                            image.path("filename").asText(),
                            inserted.path("drv").asText(),
                            image.path("virtual-size").asLong()),
                    false));
        }
        return List.copyOf(disks);
    }

    /**
     * The same disks, those of them shared that the configuration declares so.
     *
     * @param vm its name, for messages
     * @param declared each the name of a device, a node or a file
     * @throws LockstepException {@code disk-unknown}, if one names no disk of the VM, with the nearest that does
     */
    public static List<GuestDisk> declareShared(List<GuestDisk> disks, String vm, Collection<String> declared)
            throws LockstepException {
        for (String name : declared) {
            if (disks.stream().noneMatch(disk -> disk.is(name))) {
                throw unknown(disks, vm, name);
            }
        }
        return disks.stream()
                .map(disk -> new GuestDisk(
                        disk.node, disk.qdev, disk.disk, declared.stream().anyMatch(disk::is)))
                .toList();
    }

    private static LockstepException unknown(List<GuestDisk> disks, String vm, String name) {
        List<String> names =
                disks.stream().flatMap(disk -> disk.names().stream()).distinct().toList();
        return new LockstepException(
                "disk-unknown",
                "the configuration declares disk " + name + " of " + vm + " as shared, and " + vm
                        + (names.isEmpty()
                                ? " has no disk that its guest can write. Remove [vms." + vm + ".disks." + name + "]."
                                : " has no such disk; the nearest name is " + NearestName.of(name, names)
                                        + ". Its disks are "
                                        + disks.stream().map(GuestDisk::label).collect(Collectors.joining(", "))
                                        + "."));
    }

    /** Whether an operator may mean this disk: by its device, its drive, its node or its file. */
    boolean is(String name) {
        return names().contains(name);
    }

    private List<String> names() {
        return Stream.of(disk.device(), qdev, node, disk.file())
                .filter(name -> !name.isEmpty() && !name.startsWith("#"))
                .toList();
    }

    /** For an operator: device and file. */
    public String label() {
        return disk.device() + " (" + disk.file() + ")";
    }

    private static String qdev(String path) {
        Matcher peripheral = PERIPHERAL.matcher(path);
        return peripheral.matches() ? peripheral.group(1) : path.startsWith("/") ? "" : path;
    }

    /** QEMU's name of a drive. */
    static String device(JsonNode block) {
        String device = block.path("device").asText();
        return device.isEmpty() ? block.path("inserted").path("node-name").asText() : device;
    }

    private static boolean isFlash(QmpConnection qmp, JsonNode block) throws LockstepException {
        String path = block.path("qdev").asText();
        if (!path.startsWith("/")) {
            return path.isEmpty() && block.path("device").asText().startsWith("pflash");
        }
        return qmp.execute("qom-get", Map.of("path", path, "property", "type"))
                .asText()
                .startsWith("cfi.pflash");
    }
}
