package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.replication.LockstepException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * The devices that a command line or {@code device_add} gave to a machine, each as its type and its id, if it has one, e.g.
 * {@code virtio-rng-pci rng1}. Two machines with the same ones take each other's state; what was plugged later is in no command line.
 */
final class PluggedDevices {
    private static final String CHILD = "child<";

    private PluggedDevices() {}

    /** Those of a QEMU, sorted. */
    static List<String> of(QmpConnection qmp) throws LockstepException {
        List<String> devices = new ArrayList<>();
        for (JsonNode child : qmp.execute("qom-list", Map.of("path", "/machine/peripheral"))) {
            if (isChild(child)) {
                devices.add(type(child) + " " + child.path("name").asText());
            }
        }
        for (JsonNode child : qmp.execute("qom-list", Map.of("path", "/machine/peripheral-anon"))) {
            if (isChild(child)) {
                devices.add(type(child));
            }
        }
        Collections.sort(devices);
        return devices;
    }

    private static boolean isChild(JsonNode property) {
        return property.path("type").asText().startsWith(CHILD);
    }

    private static String type(JsonNode child) {
        String type = child.path("type").asText();
        return type.substring(CHILD.length(), type.length() - 1);
    }

    /** Those of the first list that the second lacks, as often as it lacks them. */
    static List<String> missing(List<String> from, List<String> in) {
        List<String> left = new ArrayList<>(from);
        in.forEach(left::remove);
        return left;
    }
}
