package io.lockstep.replication.replica;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.journal.EpochJournal;
import java.io.IOException;
import java.util.Locale;

/** What a failure to write the replica means: a full disk is mended by room, anything else by a new copy. */
final class ReplicaIo {
    /** Code of a full file system. */
    static final String FULL = "peer-disk-full";

    private ReplicaIo() {}

    /** The error, in words. */
    static LockstepException failure(Exception cause) {
        if (cause instanceof IOException io && full(io)) {
            return new LockstepException(
                    FULL,
                    "The peer has no space for the replica: " + cause.getMessage()
                            + ". Free space there: what is committed is kept, and the copy goes on by itself.",
                    cause);
        }
        return new LockstepException("replica-io", "The replica cannot be written: " + cause, cause);
    }

    /** Whether the replica is whole, and there is only no room to go on with it. */
    static boolean wantsRoom(LockstepException cause) {
        return cause.code().equals(FULL) || cause.code().equals(EpochJournal.NO_ROOM);
    }

    private static boolean full(IOException cause) {
        if (cause instanceof LinuxException linux) {
            return linux.errno() == Errno.ENOSPC || linux.errno() == Errno.EDQUOT;
        }
        return String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT).contains("no space left");
    }
}
