package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The disks of a standby's command line: where the primary opened a file that is replicated, the standby opens its raw image. Names of devices
 * and nodes stay, so that the device state finds its disks.
 *
 * <p>{@code -drive file=X,format=qcow2}, {@code -hda X}, and {@code -blockdev} graphs, nested or by node name, in either syntax. One pass, in
 * the order of the command line.
 */
final class StandbyDisks {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Map<String, Path> images;
    private final Set<String> left;
    /** Nodes that are a replicated file: whatever format is on top of one becomes raw. */
    private final Map<String, Path> imageNodes = new HashMap<>();

    /** @param images by the file that the primary's command line names */
    StandbyDisks(Map<String, Path> images) {
        this.images = images;
        left = new HashSet<>(images.keySet());
    }

    /** Files that no option named so far. */
    Set<String> left() {
        return left;
    }

    /** The arguments of the standby in place of an option of the primary. */
    List<String> rewrite(QemuOption option) {
        return switch (option.name()) {
            case "drive" -> drive(option);
            case "blockdev" -> blockdev(option);
            default -> legacy(option);
        };
    }

    private List<String> drive(QemuOption option) {
        Map<String, String> parts = option.parts("file");
        Path image = take(parts.getOrDefault("file", ""));
        if (image == null) {
            return option.arguments();
        }
        parts.put("file", image.toString());
        parts.put("format", "raw");
        parts.remove("driver");
        parts.remove("snapshot");
        return option.with(QemuOption.join("", parts)).arguments();
    }

    /** A disk by its name alone: QEMU guesses the format, and warns about raw. */
    private List<String> legacy(QemuOption option) {
        Path image = take(option.text());
        if (image == null) {
            return option.arguments();
        }
        String index =
                option.name().isEmpty() ? "0" : String.valueOf(option.name().charAt(2) - 'a');
        String file = image.toString().replace(",", ",,");
        return List.of("-drive", "file=" + file + ",format=raw,index=" + index + ",media=disk");
    }

    private List<String> blockdev(QemuOption option) {
        if (option.isJson()) {
            try {
                JsonNode tree = JSON.readTree(option.text());
                if (tree instanceof ObjectNode node && rewrite(node)) {
                    return option.with(JSON.writeValueAsString(node)).arguments();
                }
            } catch (JsonProcessingException e) {
                return option.arguments(); // QEMU has read it, so this is not reached; it would say what is wrong.
            }
            return option.arguments();
        }
        Map<String, String> parts = option.parts("driver");
        String node = parts.getOrDefault("node-name", "");
        Path own = take(parts.getOrDefault("filename", ""));
        if (own != null) {
            parts.put("filename", own.toString());
            imageNodes.put(node, own);
            return option.with(QemuOption.join("", parts)).arguments();
        }
        Path nested = take(parts.getOrDefault("file.filename", ""));
        if (nested != null) {
            parts.put("file.filename", nested.toString());
        }
        if (nested != null || imageNodes.containsKey(parts.getOrDefault("file", ""))) {
            parts.put("driver", "raw");
            parts.keySet().removeIf(key -> key.equals("backing") || key.startsWith("backing."));
            return option.with(QemuOption.join("", parts)).arguments();
        }
        return option.arguments();
    }

    /** Whether something of it was replaced. */
    private boolean rewrite(ObjectNode node) {
        Path own = take(node.path("filename").asText(""));
        if (own != null) {
            node.put("filename", own.toString());
            imageNodes.put(node.path("node-name").asText(""), own);
            return true;
        }
        JsonNode file = node.path("file");
        boolean ours = file instanceof ObjectNode child ? rewrite(child) : imageNodes.containsKey(file.asText(""));
        if (ours) {
            node.put("driver", "raw");
            node.remove("backing");
        }
        return ours;
    }

    private @Nullable Path take(String file) {
        Path image = images.get(file.startsWith("file:") ? file.substring(5) : file);
        if (image != null) {
            left.remove(file.startsWith("file:") ? file.substring(5) : file);
        }
        return image;
    }
}
