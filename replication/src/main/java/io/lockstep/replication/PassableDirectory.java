package io.lockstep.replication;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Directories that QEMU's user must get through to files and sockets that are its own, whatever the umask is: they can be entered, not listed.
 * Any thread.
 */
public final class PassableDirectory {
    private static final Set<PosixFilePermission> PASSABLE = PosixFilePermissions.fromString("rwx--x--x");

    private PassableDirectory() {}

    /**
     * Makes a directory and what is missing above it; what is made becomes passable, and so does everything down from one that is the agent's own.
     *
     * @param top the directory itself, or one above it
     * @throws IllegalArgumentException if {@code top} is neither
     */
    public static Path create(Path top, Path directory) throws IOException {
        if (!directory.startsWith(top)) {
            throw new IllegalArgumentException(directory + " is not below " + top);
        }
        createMissing(directory);
        for (Path each = directory; each != null && each.startsWith(top); each = each.getParent()) {
            Files.setPosixFilePermissions(each, PASSABLE);
        }
        return directory;
    }

    /**
     * Makes a directory that others than QEMU's user use, too, and what is missing above it: what is made becomes passable, and of a directory
     * that is there nothing is taken.
     */
    public static Path open(Path directory) throws IOException {
        createMissing(directory);
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(directory);
        if (permissions.addAll(PASSABLE)) {
            Files.setPosixFilePermissions(directory, permissions);
        }
        return directory;
    }

    private static void createMissing(Path directory) throws IOException {
        List<Path> missing = new ArrayList<>();
        for (Path each = directory.toAbsolutePath(); each != null && !Files.exists(each); each = each.getParent()) {
            missing.add(each);
        }
        Files.createDirectories(directory);
        for (Path made : missing) {
            Files.setPosixFilePermissions(made, PASSABLE);
        }
    }
}
