package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Identities that tests share, because keytool takes a second for each. */
final class TestIdentities {
    private static final Map<String, Identity> BY_NAME = new ConcurrentHashMap<>();

    private TestIdentities() {}

    static Identity primary() {
        return BY_NAME.computeIfAbsent("primary", TestIdentities::create);
    }

    static Identity peer() {
        return BY_NAME.computeIfAbsent("peer", TestIdentities::create);
    }

    static Identity stranger() {
        return BY_NAME.computeIfAbsent("stranger", TestIdentities::create);
    }

    private static Identity create(String name) {
        try {
            Path directory = Files.createTempDirectory("lockstep-" + name);
            try {
                return Identity.openOrCreate(directory);
            } finally {
                Files.deleteIfExists(directory.resolve(Identity.STORE_FILE));
                Files.deleteIfExists(directory.resolve(Identity.PASSWORD_FILE));
                Files.deleteIfExists(directory.resolve(".identity.lock"));
                Files.deleteIfExists(directory);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (LockstepException e) {
            throw new IllegalStateException(e);
        }
    }
}
