package io.lockstep.replication;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SecureDirectoryStream;
import java.nio.file.attribute.BasicFileAttributeView;
import java.util.Objects;

/**
 * Removes directories in which another user may make, rename and link files meanwhile: links are removed, not followed, and what is below the
 * top is reached through open directories, not by its path. Any thread.
 */
public final class DirectoryTree {
    /** Neither we nor QEMU make as many; each costs a descriptor and a frame of the stack. */
    private static final int DEPTH_MAX = 8;

    private DirectoryTree() {}

    /**
     * Removes a file, or a directory with all that is in it; nothing if it is not there.
     *
     * @param top in a directory that is not another user's
     * @throws IOException if some of it is left
     */
    public static void remove(Path top) throws IOException {
        if (!Files.exists(top, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        Path above = Objects.requireNonNull(top.toAbsolutePath().getParent());
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(above)) {
            remove((SecureDirectoryStream<Path>) entries, above.relativize(top.toAbsolutePath()), 0);
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
    }

    private static void remove(SecureDirectoryStream<Path> above, Path name, int depth) throws IOException {
        BasicFileAttributeView view =
                above.getFileAttributeView(name, BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
        if (!view.readAttributes().isDirectory()) {
            above.deleteFile(name);
            return;
        }
        if (depth == DEPTH_MAX) {
            throw new IOException(name + " is a directory at depth " + depth + " >= " + DEPTH_MAX);
        }
        try (SecureDirectoryStream<Path> entries = above.newDirectoryStream(name, LinkOption.NOFOLLOW_LINKS)) {
            for (Path entry : entries) {
                remove(entries, Objects.requireNonNull(entry.getFileName()), depth + 1);
            }
        }
        above.deleteDirectory(name);
    }
}
