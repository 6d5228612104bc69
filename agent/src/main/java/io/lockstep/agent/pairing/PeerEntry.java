package io.lockstep.agent.pairing;

import io.lockstep.agent.AgentPaths;
import io.lockstep.agent.config.AgentConfig;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** A peer's table in the configuration file. */
public final class PeerEntry {
    private PeerEntry() {}

    /**
     * Appends it; the file is replaced whole, and only by one that an agent would accept.
     *
     * @param address host and port
     * @throws LockstepException {@code configuration-invalid} if the file has that peer already, or an error; it is as it was
     */
    public static void append(AgentPaths paths, String name, String address, String fingerprint)
            throws LockstepException, IOException {
        Path file = paths.configuration();
        String text = Files.exists(file) ? Files.readString(file) : "";
        String table = name.contains(".") ? "\"" + name + "\"" : name;
        String next = text + (text.isEmpty() || text.endsWith("\n") ? "" : "\n") + "\n[peers." + table
                + "]\naddress = \"" + address + "\"\nfingerprint = \"" + fingerprint + "\"\n";
        AgentConfig.parse(file.toString(), next, paths);
        Files.createDirectories(file.toAbsolutePath().getParent());
        Path written = file.resolveSibling(file.getFileName() + ".new");
        Files.writeString(written, next);
        Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
    }
}
