package io.lockstep.replication.hypervisor;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Finds the QEMU processes of this host in {@code /proc}. Any thread. */
public final class QemuFinder {
    private static final String ADD_QMP_CURE =
            "start it with a second one, e.g. `-qmp unix:/run/NAME.qmp,server=on,wait=off` (libvirt: <qemu:commandline>)";

    private static final String UNIX = "unix:";

    private final Path proc;

    /** Looks at this host. */
    public QemuFinder() {
        this(Path.of("/proc"));
    }

    QemuFinder(Path proc) {
        this.proc = proc;
    }

    /** All QEMU system emulators that this process may see, by pid. */
    public List<QemuProcess> all() {
        List<QemuProcess> found = new ArrayList<>();
        try (Stream<Path> entries = Files.list(proc)) {
            for (Path entry : (Iterable<Path>) entries::iterator) {
                if (entry.getFileName().toString().chars().allMatch(Character::isDigit)) {
                    QemuProcess process = read(entry);
                    if (process != null) {
                        found.add(process);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot list " + proc, e);
        }
        found.sort(Comparator.comparingLong(QemuProcess::pid));
        return found;
    }

    /** By pid, by {@code -name}, or by the path of a QMP socket, whichever the text is. */
    public QemuProcess find(String text) throws LockstepException {
        if (text.contains("/")) {
            return findBySocket(Path.of(text));
        }
        List<QemuProcess> named =
                all().stream().filter(p -> p.name().equals(text)).toList();
        if (named.isEmpty()
                && !text.isEmpty()
                && text.length() < 19
                && text.chars().allMatch(Character::isDigit)) {
            return findByPid(Long.parseLong(text));
        }
        return findByName(text);
    }

    /** The QEMU with this process id. */
    public QemuProcess findByPid(long pid) throws LockstepException {
        return only("with pid " + pid, p -> p.pid() == pid);
    }

    /** The QEMU with this {@code -name}. */
    public QemuProcess findByName(String name) throws LockstepException {
        return findByName(name, p -> true);
    }

    /** As {@link #findByName(String)}; of several, those that are unlikely do not count if there is a likely one. */
    public QemuProcess findByName(String name, Predicate<QemuProcess> likely) throws LockstepException {
        Predicate<QemuProcess> named = p -> p.name().equals(name);
        boolean any = all().stream().anyMatch(named.and(likely));
        return only("named " + name, any ? named.and(likely) : named);
    }

    /** The QEMU that listens for QMP on this socket. */
    public QemuProcess findBySocket(Path socket) throws LockstepException {
        Path absolute = socket.toAbsolutePath().normalize();
        return only("with QMP socket " + absolute, p -> p.qmpSockets().contains(absolute));
    }

    /** The socket to attach to; refuses a QEMU that has none which can be reached by a path. */
    public static Path qmpSocket(QemuProcess process) throws LockstepException {
        if (!process.qmpSockets().isEmpty()) {
            return process.qmpSockets().get(0);
        }
        String cause = process.inheritedMonitor()
                ? "has only a QMP monitor on an inherited descriptor, which its parent (libvirt?) uses"
                : "has no QMP monitor on a unix socket";
        throw new LockstepException("qmp-none", "QEMU " + process.label() + " " + cause + ": " + ADD_QMP_CURE + ".");
    }

    private QemuProcess only(String what, Predicate<QemuProcess> wanted) throws LockstepException {
        List<QemuProcess> all = all();
        List<QemuProcess> matching = all.stream().filter(wanted).toList();
        if (matching.size() == 1) {
            return matching.get(0);
        }
        if (matching.isEmpty()) {
            throw new LockstepException(
                    "vm-not-found",
                    "No QEMU " + what + " runs on this host; there " + (all.isEmpty() ? "is none" : "are: " + list(all))
                            + ". See `lockstep vms`.");
        }
        throw new LockstepException(
                "vm-ambiguous", matching.size() + " QEMUs " + what + ": " + list(matching) + ". Name one by its pid.");
    }

    private static String list(List<QemuProcess> processes) {
        return processes.stream().map(QemuProcess::label).collect(Collectors.joining(", "));
    }

    /** Null for what is no QEMU, has gone meanwhile, or is hidden from us. */
    private @Nullable QemuProcess read(Path entry) {
        try {
            List<String> commandLine = commandLine(entry);
            if (commandLine.isEmpty() || !isQemu(entry, commandLine.get(0))) {
                return null;
            }
            ProcessIdentity identity =
                    ProcessIdentity.of(Long.parseLong(entry.getFileName().toString()));
            if (!identity.alive()) {
                return null;
            }
            ProcessOwner owner = ProcessOwner.of(entry);
            return of(identity, commandLine, owner.uid(), owner.gid(), workingDirectory(entry));
        } catch (IOException | InvalidPathException e) {
            return null;
        }
    }

    /** Reads what the command line says. */
    static QemuProcess of(ProcessIdentity identity, List<String> commandLine, int uid, int gid, Path directory) {
        String name = "";
        String memory = "";
        List<Path> sockets = new ArrayList<>();
        boolean inherited = false;
        Map<String, Map<String, String>> chardevs = new LinkedHashMap<>();
        List<QemuOption> options = QemuOption.parse(commandLine);
        for (QemuOption option : options) {
            switch (option.name()) {
                case "name" -> name = option.parts("guest").getOrDefault("guest", "");
                case "m" -> memory = option.parts("size").getOrDefault("size", "");
                case "chardev" -> {
                    Map<String, String> parts = option.parts("backend");
                    chardevs.put(parts.getOrDefault("id", ""), parts);
                }
                case "qmp", "qmp-pretty" -> {
                    // As qemu_chr_parse_compat() of chardev/char.c: what comes behind is options, the first of them the
                    // path.
                    String path = option.text().startsWith(UNIX)
                            ? new QemuOption(option.name(), option.text().substring(UNIX.length()))
                                    .parts("path")
                                    .get("path")
                            : null;
                    if (path != null) {
                        sockets.add(absolute(directory, path));
                    }
                }
                default -> {}
            }
        }
        for (QemuOption option : options) {
            Map<String, String> mon = option.name().equals("mon") ? option.parts("chardev") : Map.of();
            Map<String, String> chardev = chardevs.get(mon.getOrDefault("chardev", ""));
            if (chardev == null || !"control".equals(mon.get("mode"))) {
                continue;
            }
            if (chardev.containsKey("fd")) {
                inherited = true;
            } else if ("socket".equals(chardev.get("backend")) && chardev.containsKey("path")) {
                sockets.add(absolute(directory, chardev.getOrDefault("path", "")));
            }
        }
        return new QemuProcess(identity, name, commandLine, uid, gid, directory, memory, sockets, inherited);
    }

    /** Closed to an agent without privilege over this QEMU, which shall hear of that, and not that there is no such VM. */
    private static Path workingDirectory(Path entry) throws IOException {
        try {
            return Files.readSymbolicLink(entry.resolve("cwd"));
        } catch (AccessDeniedException e) {
            return Path.of("/");
        }
    }

    private static Path absolute(Path directory, String path) {
        return directory.resolve(path).normalize();
    }

    private static List<String> commandLine(Path entry) throws IOException {
        String text = new String(Files.readAllBytes(entry.resolve("cmdline")), StandardCharsets.UTF_8);
        return text.isEmpty()
                ? List.of()
                : List.of(text.substring(0, text.length() - 1).split("\0", -1));
    }

    /** The executable decides; where it cannot be read, the command's name. */
    private static boolean isQemu(Path entry, String program) {
        String name;
        try {
            name = Files.readSymbolicLink(entry.resolve("exe")).toString().replace(" (deleted)", "");
        } catch (IOException e) {
            name = program;
        }
        String file = name.substring(name.lastIndexOf('/') + 1);
        return file.startsWith("qemu-system-") || file.equals("qemu-kvm") || file.equals("kvm");
    }
}
