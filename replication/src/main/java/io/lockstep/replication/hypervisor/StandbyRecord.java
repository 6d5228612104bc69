package io.lockstep.replication.hypervisor;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;

/**
 * What a later life of the agent must know of a standby: which process it is, and how far it came. One line in {@code standby.pid}:
 * {@code PID STARTTICKS STAGE}. STARTING is written before QEMU is told to run, so that no standby that may be the VM is taken for a spare.
 */
record StandbyRecord(ProcessIdentity process, Stage stage) {
    /** How far a standby is; only ever forward. */
    enum Stage {
        /** Its guest has not executed. */
        WAITING,
        LOADED,
        /** The order to run is about to be given, or was given and not answered. */
        STARTING,
        /** It was given and answered; or the VM is to stand still. */
        RUN;

        /** Whether it may be the VM. */
        boolean toldToRun() {
            return this == STARTING || this == RUN;
        }
    }

    private static Path file(Path directory) {
        return directory.resolve("standby.pid");
    }

    /** What stands in the directory, if anything that can be read. */
    static Optional<StandbyRecord> read(Path directory) throws LockstepException {
        try {
            String[] words = Files.readString(file(directory)).trim().split(" ", -1);
            return Optional.of(new StandbyRecord(
                    new ProcessIdentity(Long.parseLong(words[0]), Long.parseLong(words[1])), Stage.valueOf(words[2])));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException | RuntimeException e) {
            throw new LockstepException(
                    "standby-record",
                    "Cannot read " + file(directory) + ": " + e.getMessage()
                            + ". Look for a QEMU of this VM, end it if it is no longer wanted, and remove the file.",
                    e);
        }
    }

    /** Replaces what stands there, whole. */
    void write(Path directory) throws LockstepException {
        Path next = directory.resolve("standby.pid.new");
        try {
            Files.writeString(next, process.pid() + " " + process.startTicks() + " " + stage + "\n");
            Files.move(next, file(directory), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-record", "Cannot write " + file(directory) + ": " + e.getMessage() + ".", e);
        }
    }

    static void remove(Path directory) throws LockstepException {
        try {
            Files.deleteIfExists(file(directory));
        } catch (IOException e) {
            throw new LockstepException(
                    "standby-record", "Cannot remove " + file(directory) + ": " + e.getMessage() + ".", e);
        }
    }
}
