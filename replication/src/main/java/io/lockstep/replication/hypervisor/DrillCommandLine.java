package io.lockstep.replication.hypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The command line of a drill, made from that of a standby: the same machine, which reaches and changes nothing outside.
 *
 * <ul>
 *   <li>a tap or bridge becomes a tap of the drill's own network namespace, for the guest may rely on what only a tap does; a user network
 *       stays one, and reaches that namespace alone; any other network becomes a hub that nobody else is on;
 *   <li>a replicated disk is an NBD export, whose writes are thrown away; of any other file that could be written a snapshot is;
 *   <li>what a character device would reach is nothing.
 * </ul>
 *
 * One pass.
 */
public final class DrillCommandLine {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Character devices that reach nothing outside of QEMU. */
    private static final Set<String> INNER =
            Set.of("null", "ringbuf", "vc", "spicevmc", "spiceport", "qemu-vdagent", "msmouse", "wctablet");

    /** What of a disk's options a network disk has, too. */
    private static final Set<String> DISK_KEYS =
            Set.of("node-name", "read-only", "auto-read-only", "discard", "detect-zeroes", "cache", "force-share");

    /** What of a user network reaches a port, a program or a file of the host. */
    private static final Set<String> USER_OUTSIDE =
            Set.of("hostfwd", "guestfwd", "smb", "smbserver", "tftp", "bootfile", "tftp-server-name");

    /** Of those, and of their parts, what JSON has as a truth value. */
    private static final Set<String> BOOLEANS =
            Set.of("read-only", "auto-read-only", "force-share", "direct", "no-flush");

    private final Path qmpSocket;
    private final Map<String, Path> disks;
    private final List<String> out = new ArrayList<>();
    private final List<String> taps = new ArrayList<>();
    private int hubs;

    private DrillCommandLine(Path qmpSocket, Map<String, Path> disks) {
        this.qmpSocket = qmpSocket;
        this.disks = disks;
    }

    /**
     * What is started.
     *
     * @param arguments the program first
     * @param taps that it expects in its network namespace
     */
    public record Made(List<String> arguments, List<String> taps) {
        public Made {
            arguments = List.copyOf(arguments);
            taps = List.copyOf(taps);
        }
    }

    /** @param disks the NBD socket of each replicated disk, by the image that the standby's command line names */
    public static Made of(StandbyCommandLine standby, Map<String, Path> disks) {
        DrillCommandLine drill = new DrillCommandLine(standby.qmpSocket(), disks);
        drill.out.add(standby.arguments().get(0));
        QemuOption.parse(standby.arguments()).forEach(drill::rewrite);
        return new Made(drill.out, drill.taps);
    }

    private void rewrite(QemuOption option) {
        switch (option.name()) {
            case "netdev", "nic" -> network(option);
            case "net" -> {
                // What is left of the old syntax is a NIC on a hub with nobody else, or with a user network.
                if (option.text().startsWith("nic")) {
                    add(option);
                } else if (option.text().startsWith("user")) {
                    network(option);
                }
            }
            case "chardev" -> chardev(option);
            case "serial", "parallel", "debugcon", "virtioconsole" -> {
                boolean inner =
                        option.text().startsWith("chardev:") || option.text().equals("none");
                add(inner ? option : option.with("null"));
            }
            case "drive" -> drive(option);
            case "blockdev" -> blockdev(option);
            case "object" -> {
                // A filter may write what it sees to a file.
                if (!option.parts("qom-type").getOrDefault("qom-type", "").startsWith("filter-")) {
                    add(option);
                }
            }
            default -> add(option);
        }
    }

    private void add(QemuOption option) {
        out.addAll(option.arguments());
    }

    private void network(QemuOption option) {
        Map<String, String> parts = option.parts("type");
        String type = parts.getOrDefault("type", "");
        if (type.equals("none")) {
            add(option);
            return;
        }
        Map<String, String> made = new LinkedHashMap<>();
        if (type.equals("tap") || type.equals("bridge")) {
            String tap = "drill" + taps.size();
            taps.add(tap);
            made.put("type", "tap");
            made.put("ifname", tap);
            made.put("script", "no");
            made.put("downscript", "no");
            keep(parts, made, Set.of("id", "vnet_hdr", "sndbuf"));
        } else if (type.equals("user")) {
            // It has a state of its own, without which the device state cannot be loaded.
            made.putAll(parts);
            made.keySet().removeAll(USER_OUTSIDE);
        } else {
            made.put("type", "hubport");
            made.put("hubid", String.valueOf(1000 + hubs++));
            keep(parts, made, Set.of("id"));
        }
        if (option.name().equals("nic")) {
            keep(parts, made, Set.of("model", "mac", "macaddr", "addr", "vectors"));
        }
        add(option.with(QemuOption.join("type", made)));
    }

    private static void keep(Map<String, String> from, Map<String, String> into, Set<String> keys) {
        from.forEach((key, value) -> {
            if (keys.contains(key)) {
                into.put(key, value);
            }
        });
    }

    private void chardev(QemuOption option) {
        Map<String, String> parts = option.parts("backend");
        boolean ours = qmpSocket.toString().equals(parts.get("path"));
        if (ours || INNER.contains(parts.getOrDefault("backend", ""))) {
            parts.remove("logfile");
            add(option.with(QemuOption.join("backend", parts)));
            return;
        }
        Map<String, String> made = new LinkedHashMap<>();
        made.put("backend", "null");
        keep(parts, made, Set.of("id", "mux"));
        add(option.with(QemuOption.join("backend", made)));
    }

    private void drive(QemuOption option) {
        Map<String, String> parts = option.parts("file");
        Path socket = disks.get(parts.getOrDefault("file", ""));
        if (socket != null) {
            parts.put("file", uri(socket));
            parts.put("format", "raw");
            parts.keySet().removeIf(key -> key.startsWith("file.") || key.equals("aio") || key.equals("snapshot"));
        } else if (parts.containsKey("file")
                && !"cdrom".equals(parts.get("media"))
                && !isOn(parts.get("readonly"))
                && !isOn(parts.get("read-only"))) {
            parts.put("snapshot", "on");
        }
        add(option.with(QemuOption.join("", parts)));
    }

    private static boolean isOn(@Nullable String value) {
        return "on".equals(value) || "yes".equals(value) || "true".equals(value);
    }

    private static String uri(Path socket) {
        return "nbd+unix:///?socket=" + socket;
    }

    private void blockdev(QemuOption option) {
        ObjectNode node = tree(option);
        if (redirect(node)) {
            add(option.with(node.toString()));
        } else if (!node.has("filename")) {
            add(option);
        } else if (option.isJson()) {
            // Flash and the like: its content is in memory, and what is written to the file is nobody's.
            add(option.with(node.put("read-only", true).toString()));
        } else {
            Map<String, String> parts = option.parts("driver");
            parts.put("read-only", "on");
            add(option.with(QemuOption.join("", parts)));
        }
    }

    /** The option as JSON, whichever syntax it has: dotted keys become objects. */
    private static ObjectNode tree(QemuOption option) {
        if (option.isJson()) {
            try {
                if (JSON.readTree(option.text()) instanceof ObjectNode node) {
                    return node;
                }
            } catch (JsonProcessingException e) {
                throw new IllegalStateException("QEMU has read it: " + option.text(), e);
            }
        }
        ObjectNode root = JSON.createObjectNode();
        option.parts("driver").forEach((key, value) -> {
            ObjectNode at = root;
            String[] names = key.split("\\.", -1);
            for (int i = 0; i < names.length - 1; i++) {
                at = at.path(names[i]) instanceof ObjectNode child ? child : at.putObject(names[i]);
            }
            String name = names[names.length - 1];
            if (BOOLEANS.contains(name)) {
                at.put(name, isOn(value));
            } else if (value.matches("[0-9]{1,18}") && !name.equals("node-name")) {
                at.put(name, Long.parseLong(value));
            } else {
                at.put(name, value);
            }
        });
        return root;
    }

    /** Whether it, or what is below it, was a replicated disk and is an export now. */
    private boolean redirect(ObjectNode node) {
        Path socket = disks.get(node.path("filename").asText(""));
        if (socket == null) {
            JsonNode file = node.path("file");
            return file instanceof ObjectNode child && redirect(child);
        }
        List<String> names = new ArrayList<>();
        node.fieldNames().forEachRemaining(names::add);
        names.removeIf(DISK_KEYS::contains);
        node.remove(names);
        node.put("driver", "nbd");
        node.putObject("server").put("type", "unix").put("path", socket.toString());
        return true;
    }
}
