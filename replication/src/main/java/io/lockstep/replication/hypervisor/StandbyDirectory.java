package io.lockstep.replication.hypervisor;

import io.lockstep.replication.DirectoryTree;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/**
 * The directory of a standby or a drill. Invariant: it is the agent's own, so that no process of QEMU's user can replace the record, the log and
 * whatever else the agent writes and reads there. That user gets through it to {@code qemu}, which is its own, for sockets and what QEMU makes.
 */
final class StandbyDirectory {
    private StandbyDirectory() {}

    /** QEMU's part of it. */
    static Path qemu(Path directory) {
        return directory.resolve("qemu");
    }

    /**
     * Makes it if it is not there. One that was another user's is replaced: what lies there could be forged, and is removed unread.
     *
     * @throws LockstepException {@code standby-start-failed} if something else is in its place
     */
    static void create(Path directory) throws LockstepException {
        try {
            make(directory, ProcessOwner.of(Path.of("/proc/self")));
            PassableDirectory.create(directory, directory);
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-start-failed",
                    "Cannot make " + directory + " a directory of the agent's own: " + e.getMessage()
                            + ". Remove what is there.",
                    e);
        }
    }

    /** Makes QEMU's part of it, or hands it on; what another user left there is removed. */
    static Path give(Path directory, ProcessOwner owner) throws IOException {
        Path qemu = qemu(directory);
        make(qemu, owner);
        owner.own(qemu);
        return qemu;
    }

    /** The directory above is ours, so that what is looked at here is what is used afterwards. */
    private static void make(Path directory, ProcessOwner owner) throws IOException {
        if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(directory + " is a link or a file != a directory");
            }
            int uid = (Integer) Files.getAttribute(directory, "unix:uid", LinkOption.NOFOLLOW_LINKS);
            if (uid != owner.uid()) {
                DirectoryTree.remove(directory);
            }
        }
        Files.createDirectories(directory);
    }
}
