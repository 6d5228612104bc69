package io.lockstep.replication.hypervisor;

import io.lockstep.replication.LockstepException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The command line of the standby, made from the primary's: the same machine, but
 *
 * <ul>
 *   <li>each memory backend is a shared mapping of the replica's file, under the same block name;
 *   <li>each replicated disk is the replica's raw image, under the same device and node names;
 *   <li>monitors, and the sockets on which QEMU listens, are its own, in the standby's directory;
 *   <li>what a character device writes to a file is appended, so that the dead primary's log goes on;
 *   <li>what the primary has as a descriptor of its parent, libvirt as a rule, is made anew: the monitor's and other sockets in the standby's
 *       directory, files there, too, and netdevs as the peer's operator says;
 *   <li>it waits for its state ({@code -incoming defer}) and then for the order to run ({@code -S}).
 * </ul>
 *
 * Immutable. The operator's overrides come last: texts to replace, or a whole command line of his own.
 */
public final class StandbyCommandLine {
    /** Gone without a trace; ours take their place where one is needed. */
    private static final Set<String> DROPPED = Set.of(
            "qmp",
            "qmp-pretty",
            "mon",
            "monitor",
            "pidfile",
            "daemonize",
            "incoming",
            "S",
            "s",
            "gdb",
            "loadvm",
            // No descriptor of the primary's parent is here; what would use one is rewritten or refused.
            "add-fd",
            "mem-path",
            "mem-prealloc",
            "runas",
            "chroot");

    private static final Set<String> BACKENDS =
            Set.of("memory-backend-ram", "memory-backend-memfd", "memory-backend-file");
    /** How QEMU names a descriptor that {@code -add-fd} gave it. */
    private static final String DESCRIPTOR_SET = "/dev/fdset/";
    /** libvirt's key to the other secrets of a domain; made anew for each QEMU. */
    private static final String LIBVIRT_KEY = "/master-key.aes";

    private static final Pattern SAFE = Pattern.compile("[A-Za-z0-9_@%+=:,./-]+");

    private final List<String> arguments;
    private final Path directory;

    private StandbyCommandLine(List<String> arguments, Path directory) {
        this.arguments = List.copyOf(arguments);
        this.directory = directory;
    }

    /**
     * What it is made from.
     *
     * @param commandLine the primary's, the program first
     * @param directory the standby's; sockets and logs are in the part of it that is QEMU's
     * @param memoryFiles the replica's file for each main block, by QEMU's block name
     * @param memoryBytes length of each main block, by the same names
     * @param diskImages the replica's image for each replicated disk, by the file that the primary's command line names
     * @param netdevs what stands for a netdev that uses a descriptor, by its id, e.g. {@code tap,ifname=tap0,script=no,downscript=no}
     * @param replacements literal texts to be replaced in each argument at the end
     * @param template a whole command line to use instead; empty for none. In it {@code @qmp@}, {@code @memory:BLOCK@} and,
     *     for QEMU's part of the directory, {@code @directory@} stand for our paths
     */
    public record Request(
            List<String> commandLine,
            Path directory,
            Map<String, Path> memoryFiles,
            Map<String, Long> memoryBytes,
            Map<String, Path> diskImages,
            Map<String, String> netdevs,
            Map<String, String> replacements,
            List<String> template) {
        public Request {
            commandLine = List.copyOf(commandLine);
            memoryFiles = new LinkedHashMap<>(memoryFiles);
            memoryBytes = Map.copyOf(memoryBytes);
            diskImages = Map.copyOf(diskImages);
            netdevs = Map.copyOf(netdevs);
            replacements = new LinkedHashMap<>(replacements);
            template = List.copyOf(template);
        }
    }

    /** Where the standby's QMP listens. */
    public static Path qmpSocket(Path directory) {
        return StandbyDirectory.qemu(directory).resolve("standby.qmp");
    }

    /**
     * The directory of the standby that a QEMU was started as; null if it was started as something else. It may have become the VM since.
     */
    public static @Nullable Path startedIn(QemuProcess process) {
        if (!process.commandLine().contains("-incoming")) {
            return null;
        }
        for (Path socket : process.qmpSockets()) {
            Path qemu = socket.getParent();
            Path directory = qemu == null ? null : qemu.getParent();
            if (directory != null && qmpSocket(directory).equals(socket)) {
                return directory;
            }
        }
        return null;
    }

    /** @throws LockstepException {@code standby-command-line} if it cannot be made without an override */
    public static StandbyCommandLine of(Request request) throws LockstepException {
        List<String> made;
        if (request.template.isEmpty()) {
            made = new Rewrite(request).arguments();
        } else {
            made = request.template.stream().map(a -> fill(a, request)).toList();
        }
        List<String> replaced = new ArrayList<>();
        for (String argument : made) {
            String text = argument;
            for (Map.Entry<String, String> replacement : request.replacements.entrySet()) {
                text = text.replace(replacement.getKey(), replacement.getValue());
            }
            replaced.add(text);
        }
        return new StandbyCommandLine(replaced, request.directory);
    }

    private static String fill(String argument, Request request) {
        String text = argument.replace("@qmp@", qmpSocket(request.directory).toString())
                .replace("@directory@", StandbyDirectory.qemu(request.directory).toString());
        for (Map.Entry<String, Path> file : request.memoryFiles.entrySet()) {
            text = text.replace(
                    "@memory:" + file.getKey() + "@", file.getValue().toString());
        }
        return text;
    }

    /** The program and its arguments. */
    public List<String> arguments() {
        return arguments;
    }

    /** Where this standby's QMP listens. */
    public Path qmpSocket() {
        return qmpSocket(directory);
    }

    /** One line that a shell reads as these arguments. */
    @Override
    public String toString() {
        return arguments.stream()
                .map(a -> SAFE.matcher(a).matches() ? a : "'" + a.replace("'", "'\\''") + "'")
                .collect(Collectors.joining(" "));
    }

    /** One pass over the primary's options. */
    private static final class Rewrite {
        private final Request request;
        private final List<String> out = new ArrayList<>();
        private final Map<String, Path> left;
        private final StandbyDisks disks;
        private List<QemuOption> options = List.of();
        private Set<String> monitors = Set.of();
        private boolean managed;
        private int serials;

        Rewrite(Request request) {
            this.request = request;
            left = new LinkedHashMap<>(request.memoryFiles);
            disks = new StandbyDisks(request.diskImages);
        }

        List<String> arguments() throws LockstepException {
            if (request.commandLine.isEmpty()) {
                throw refused("the primary's command line is empty");
            }
            options = QemuOption.parse(request.commandLine);
            monitors = options.stream()
                    .filter(o -> o.name().equals("mon"))
                    .map(o -> o.parts("chardev").getOrDefault("chardev", ""))
                    .collect(Collectors.toSet());
            managed = options.stream()
                    .filter(o -> o.name().equals("chardev"))
                    .map(o -> o.parts("backend"))
                    .anyMatch(parts -> parts.containsKey("fd") && monitors.contains(parts.getOrDefault("id", "")));
            out.add(request.commandLine.get(0));
            for (QemuOption option : options) {
                rewrite(option);
            }
            defaultMemory();
            for (String argument : out) {
                if (argument.contains(DESCRIPTOR_SET)) {
                    throw descriptor(argument);
                }
            }
            for (String file : disks.left()) {
                throw refused("no disk of the primary's command line is " + file);
            }
            for (String block : left.keySet()) {
                throw refused("no memory backend of the primary's command line makes RAM block " + block);
            }
            out.addAll(List.of("-qmp", "unix:" + comma(qmpSocket(request.directory)) + ",server=on,wait=off"));
            out.addAll(List.of("-monitor", "none", "-incoming", "defer", "-S"));
            return out;
        }

        private void rewrite(QemuOption option) throws LockstepException {
            switch (option.name()) {
                case "object" -> object(option);
                case "drive", "blockdev", "", "hda", "hdb", "hdc", "hdd" -> out.addAll(disks.rewrite(option));
                case "chardev" -> {
                    Map<String, String> parts = option.parts("backend");
                    if (monitors.contains(parts.getOrDefault("id", "")) && !isMuxed(parts)) {
                        return;
                    }
                    add(option.with(chardev(parts)));
                }
                case "serial", "parallel", "debugcon" -> legacyChardev(option);
                case "vnc" -> {
                    String text = option.text();
                    // libvirt writes the first part's name.
                    String socket = text.startsWith("vnc=") ? "vnc=unix:" : "unix:";
                    if (text.startsWith(socket)) {
                        int end = text.indexOf(',') < 0 ? text.length() : text.indexOf(',');
                        add(option.with(socket + own(text.substring(socket.length(), end)) + text.substring(end)));
                    } else {
                        add(option);
                    }
                }
                case "D" -> add(option.with(own(option.text())));
                case "spice" -> {
                    Map<String, String> parts = option.parts("port");
                    if ("on".equals(parts.get("unix")) && parts.containsKey("addr")) {
                        parts.put("addr", own(parts.getOrDefault("addr", "")));
                        add(option.with(QemuOption.join("", parts)));
                    } else {
                        add(option);
                    }
                }
                case "netdev", "nic", "net" -> netdev(option);
                // Nobody would be there to end a QEMU whose guest has shut down.
                case "no-shutdown" -> {
                    if (!managed) {
                        add(option);
                    }
                }
                default -> {
                    if (!DROPPED.contains(option.name())) {
                        add(option);
                    }
                }
            }
        }

        private void netdev(QemuOption option) throws LockstepException {
            Map<String, String> parts = option.parts("type");
            if (!parts.containsKey("fd") && !parts.containsKey("fds") && !parts.containsKey("vhostfd")) {
                add(option);
                return;
            }
            String id = parts.getOrDefault("id", "");
            String given = request.netdevs.get(id);
            if (given == null) {
                throw new LockstepException(
                        "standby-command-line",
                        "No standby command line can be made: -" + option.name() + " " + option.text()
                                + " uses a descriptor that the primary's parent opened. Say in the peer's configuration what it"
                                + " is there, e.g. vms.NAME.standbyNetdevs = [\"" + id
                                + "\", \"tap,ifname=TAP,script=no,downscript=no\"], with a tap that exists.");
            }
            add(option.with(given + ",id=" + id));
        }

        private static boolean isMuxed(Map<String, String> chardev) {
            return "on".equals(chardev.get("mux"));
        }

        private void add(QemuOption option) {
            out.addAll(option.arguments());
        }

        private void object(QemuOption option) throws LockstepException {
            Map<String, String> parts = option.parts("qom-type");
            if ("secret".equals(parts.get("qom-type"))
                    && parts.getOrDefault("file", "").endsWith(LIBVIRT_KEY)) {
                libvirtKey(option, parts.getOrDefault("id", ""));
                return;
            }
            if (!BACKENDS.contains(parts.getOrDefault("qom-type", ""))) {
                add(option);
                return;
            }
            String id = parts.getOrDefault("id", "");
            // The block is named after the object's path, or, as libvirt asks for, after the object alone.
            String block = left.containsKey("/objects/" + id) ? "/objects/" + id : id;
            Path file = left.remove(block);
            if (file == null) {
                add(option);
                return;
            }
            Map<String, String> made = backend(id, block, file);
            for (String kept : List.of("host-nodes", "policy", "x-use-canonical-path-for-ramblock-id")) {
                if (parts.containsKey(kept)) {
                    made.put(kept, parts.get(kept));
                }
            }
            out.addAll(List.of("-object", QemuOption.join("qom-type", made)));
        }

        /** Left out: its file dies with the primary's QEMU. What it encrypts could not be read without it. */
        private void libvirtKey(QemuOption option, String id) throws LockstepException {
            Pattern used = Pattern.compile("\\b" + Pattern.quote(id) + "\\b");
            for (QemuOption other : options) {
                if (!other.equals(option) && used.matcher(other.text()).find()) {
                    throw refused("-" + other.name() + " " + other.text() + " is encrypted with a key of libvirt's, "
                            + option.parts("qom-type").get("file") + ", that this QEMU alone has");
                }
            }
        }

        private Map<String, String> backend(String id, String block, Path file) {
            Map<String, String> made = new LinkedHashMap<>();
            made.put("qom-type", "memory-backend-file");
            made.put("id", id);
            made.put("mem-path", file.toString());
            made.put("size", String.valueOf(request.memoryBytes.getOrDefault(block, 0L)));
            made.put("share", "on");
            return made;
        }

        /** Memory that {@code -m} alone made: the same block, from a backend of that name, which the machine is told to use. */
        private void defaultMemory() {
            boolean named = options.stream()
                    .anyMatch(o -> (o.name().equals("machine") || o.name().equals("M"))
                            && o.parts("type").containsKey("memory-backend"));
            if (named || left.size() != 1) {
                return;
            }
            String block = left.keySet().iterator().next();
            Map<String, String> made = backend(block, block, left.getOrDefault(block, Path.of("")));
            // Without it the block would be called /objects/pc.ram.
            made.put("x-use-canonical-path-for-ramblock-id", "off");
            left.clear();
            // Options of one name are merged, so the machine type given before stays.
            out.addAll(List.of("-object", QemuOption.join("qom-type", made), "-machine", "memory-backend=" + block));
        }

        private String chardev(Map<String, String> parts) throws LockstepException {
            boolean listens = "socket".equals(parts.get("backend")) && isServer(parts);
            String id = parts.getOrDefault("id", "");
            if (parts.containsKey("fd")) {
                if (!listens) {
                    throw descriptor("-chardev " + QemuOption.join("backend", parts));
                }
                parts.remove("fd");
                parts.put("path", id + ".sock");
            }
            if ("file".equals(parts.get("backend"))) {
                if (parts.getOrDefault("path", "").startsWith(DESCRIPTOR_SET)) {
                    parts.put("path", own(id + ".log"));
                }
                parts.putIfAbsent("append", "on");
            }
            if (listens && parts.containsKey("path")) {
                parts.put("path", own(parts.getOrDefault("path", "")));
                parts.put("wait", "off");
            }
            return QemuOption.join("backend", parts);
        }

        private static boolean isServer(Map<String, String> parts) {
            return "on".equals(parts.get("server")) || "yes".equals(parts.get("server"));
        }

        /** {@code -serial file:X} cannot append and {@code -serial unix:X} names its socket: both become a chardev of ours. */
        private void legacyChardev(QemuOption option) throws LockstepException {
            String text = option.text();
            Map<String, String> parts = new LinkedHashMap<>();
            String id = "lockstep-" + option.name() + serials++;
            if (text.startsWith("file:")) {
                parts.put("backend", "file");
                parts.put("id", id);
                parts.put("path", text.substring(5));
            } else if (text.startsWith("unix:")) {
                parts.putAll(option.parts("path"));
                String path = parts.getOrDefault("path", "").substring(5);
                parts.remove("path");
                Map<String, String> socket = new LinkedHashMap<>();
                socket.put("backend", "socket");
                socket.put("id", id);
                socket.put("path", path);
                socket.putAll(parts);
                parts = socket;
            } else {
                add(option);
                return;
            }
            out.addAll(List.of("-chardev", chardev(parts)));
            out.addAll(List.of("-" + option.name(), "chardev:" + id));
        }

        private String own(String path) {
            return StandbyDirectory.qemu(request.directory)
                    .resolve(Path.of(path).getFileName())
                    .toString();
        }

        private static String comma(Path path) {
            return path.toString().replace(",", ",,");
        }

        private LockstepException descriptor(String argument) {
            return refused(argument + " uses a descriptor that the primary's parent opened");
        }

        private LockstepException refused(String cause) {
            return new LockstepException(
                    "standby-command-line",
                    "No standby command line can be made: " + cause
                            + ". Give one in the peer's configuration: vms.NAME.standbyCommand or vms.NAME.standbyReplacements.");
        }
    }
}
