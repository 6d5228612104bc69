package io.lockstep.agent.pairing;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.Map;

/**
 * A peer's table in the configuration file.
 *
 * @param address host and port
 */
public record PeerEntry(String name, String address, String fingerprint) {

    /**
     * Whether the file has this very peer, so that nothing is to be written.
     *
     * @throws LockstepException {@code peer-exists} if it has another one of that name, or this one by another name; {@code configuration-invalid} if it has an error
     */
    public boolean isIn(AgentPaths paths) throws LockstepException {
        Map<String, AgentConfig.Peer> peers = AgentConfig.load(paths).peers();
        for (Map.Entry<String, AgentConfig.Peer> peer : peers.entrySet()) {
            if (peer.getValue().fingerprint().equals(fingerprint)
                    && !peer.getKey().equals(name)) {
                throw new LockstepException(
                        "peer-exists",
                        paths.configuration() + " has this host already, as [peers." + peer.getKey() + "] and not as "
                                + name + ". Rename that table, or remove it and pair again. Nothing was written.");
            }
        }
        AgentConfig.Peer there = peers.get(name);
        if (there == null) {
            return false;
        }
        if (there.fingerprint().equals(fingerprint)) {
            return true;
        }
        throw new LockstepException(
                "peer-exists",
                paths.configuration() + " has a [peers." + name + "] with fingerprint " + there.fingerprint() + " != "
                        + fingerprint
                        + ". Remove that table if the host was set up anew, or have the other host call itself"
                        + " something else with --name. Nothing was written.");
    }

    /**
     * Appends it after all that is there, comments included; the file is replaced whole, and only by one that an agent would accept. Another
     * process that does the same waits meanwhile.
     *
     * @throws LockstepException as {@link #isIn}; the file is as it was
     */
    public void append(AgentPaths paths) throws LockstepException, IOException {
        PassableDirectory.open(paths.run());
        Files.createDirectories(paths.configuration().toAbsolutePath().getParent());
        try (FileChannel channel = FileChannel.open(
                        paths.run().resolve("pair.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            if (lock.isValid() && !isIn(paths)) {
                write(paths);
            }
        }
    }

    private void write(AgentPaths paths) throws LockstepException, IOException {
        Path named = paths.configuration();
        // What a link names is replaced, and not the link.
        Path file = Files.exists(named) ? named.toRealPath() : named;
        String text = Files.exists(file) ? Files.readString(file) : "";
        String table = name.contains(".") ? "\"" + name + "\"" : name;
        String next = text + (text.isEmpty() || text.endsWith("\n") ? "" : "\n") + "\n[peers." + table
                + "]\naddress = \"" + address + "\"\nfingerprint = \"" + fingerprint + "\"\n";
        AgentConfig.parse(file.toString(), next, paths);
        Path written = file.resolveSibling(file.getFileName() + ".new");
        Files.write(
                written,
                next.getBytes(StandardCharsets.UTF_8),
                StandardOpenOption.CREATE,
                StandardOpenOption.TRUNCATE_EXISTING,
                StandardOpenOption.WRITE,
                StandardOpenOption.SYNC);
        if (Files.exists(file)) {
            PosixFileAttributes before = Files.readAttributes(file, PosixFileAttributes.class);
            PosixFileAttributeView view = Files.getFileAttributeView(written, PosixFileAttributeView.class);
            view.setPermissions(before.permissions());
            view.setOwner(before.owner());
            view.setGroup(before.group());
        }
        Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
