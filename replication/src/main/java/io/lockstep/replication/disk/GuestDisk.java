package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A disk of a VM that its guest can write.
 *
 * @param node QEMU's name of the node whose writes are mirrored
 * @param disk as the peer knows it
 */
public record GuestDisk(String node, ReplicatedDisk disk) {
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
                    new ReplicatedDisk(
                            device,
                            image.path("filename").asText(),
                            inserted.path("drv").asText(),
                            image.path("virtual-size").asLong())));
        }
        return List.copyOf(disks);
    }

    private static String device(JsonNode block) {
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
