package io.lockstep.agent;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/** Where the agent keeps its files: the system's places, all moved under one root, so that two agents can run on one machine. */
public final class AgentPaths {
    private final Path root;

    private AgentPaths(Path root) {
        this.root = root.toAbsolutePath().normalize();
    }

    /** Under this directory; {@code /} for an installed agent. */
    public static AgentPaths under(Path root) {
        return new AgentPaths(root);
    }

    /** The prefix of the others. */
    public Path root() {
        return root;
    }

    /** The configuration file. */
    public Path configuration() {
        return root.resolve("etc/lockstep/agent.toml");
    }

    /** What outlives a reboot: journals, the identity. */
    public Path state() {
        return root.resolve("var/lib/lockstep");
    }

    /** Key and certificate; readable by the agent's user only. */
    public Path identity() {
        return state().resolve("identity");
    }

    /** Journals, a directory per VM. */
    public Path journals() {
        return state().resolve("journal");
    }

    /** What dies with the host: sockets, ledgers. On tmpfs. */
    public Path run() {
        return root.resolve("run/lockstep");
    }

    /** The management socket. */
    public Path socket() {
        return run().resolve("agent.sock");
    }

    /** The socket for every user, who may only read. */
    public Path readOnlySocket() {
        return run().resolve("agent-ro.sock");
    }

    /** The agent's own log; nothing that a later start needs. */
    public Path logs() {
        return root.resolve("var/log/lockstep");
    }

    /** Replica memory where the configuration names no other place: tmpfs, apart for each root. */
    public Path replicas() {
        if (root.getNameCount() == 0) {
            return Path.of("/dev/shm/lockstep");
        }
        CRC32C hash = new CRC32C();
        hash.update(root.toString().getBytes(StandardCharsets.UTF_8));
        return Path.of("/dev/shm/lockstep-" + String.format("%08x", hash.getValue()));
    }
}
