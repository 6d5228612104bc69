package io.lockstep.replication;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/**
 * Directories that QEMU's user must get through to files and sockets that are its own, whatever the umask is: they can be entered, not listed.
 * Any thread.
 */
public final class PassableDirectory {
    private static final Set<PosixFilePermission> PASSABLE = PosixFilePermissions.fromString("rwx--x--x");

    private PassableDirectory() {}

    /**
     * Makes a directory and what is missing above it, down from one that is the agent's own; all of them become passable.
     *
     * @param top the directory itself, or one above it
     * @throws IllegalArgumentException if {@code top} is neither
     */
    public static Path create(Path top, Path directory) throws IOException {
        if (!directory.startsWith(top)) {
            throw new IllegalArgumentException(directory + " is not below " + top);
        }
        Files.createDirectories(directory);
        for (Path each = directory; each != null && each.startsWith(top); each = each.getParent()) {
            Files.setPosixFilePermissions(each, PASSABLE);
        }
        return directory;
    }
}
