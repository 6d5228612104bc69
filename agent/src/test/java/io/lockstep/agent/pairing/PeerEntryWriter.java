package io.lockstep.agent.pairing;

import io.lockstep.agent.AgentPaths;
import java.nio.file.Path;

/** A process that writes one peer down: root, name, fingerprint. */
final class PeerEntryWriter {
    private PeerEntryWriter() {}

    public static void main(String[] arguments) throws Exception {
        new PeerEntry(arguments[1], arguments[1] + ":7500", arguments[2])
                .append(AgentPaths.under(Path.of(arguments[0])));
    }
}
