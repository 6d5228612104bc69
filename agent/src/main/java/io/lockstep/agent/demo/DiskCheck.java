package io.lockstep.agent.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The disk of a run, if its guest has one: made before the guest boots, compared after the kill. Single-threaded. */
final class DiskCheck {
    /** Epochs of an idle VM are a tenth of a second apart. */
    private static final Duration SAME = Duration.ofSeconds(30);

    private final @Nullable LogDisk disk;
    private final Path copy;
    private int loggedBefore;
    private int loggedAfter = -1;

    private DiskCheck(@Nullable LogDisk disk, Path copy) {
        this.disk = disk;
        this.copy = copy;
    }

    /** Makes the disk; the micro guest knows of none. */
    static DiskCheck of(Guest guest, Path directory) throws IOException, InterruptedException, DemoFailure {
        return new DiskCheck(
                guest == Guest.LINUX ? LogDisk.create(directory) : null, directory.resolve("promoted-disk.raw"));
    }

    /** QEMU's arguments for it. */
    List<String> qemuArguments() {
        return disk == null ? List.of() : disk.qemuArguments();
    }

    /** The guest's options for it. */
    String guestOptions() {
        return disk == null ? "" : LogDisk.guestOption();
    }

    /** The VM runs on the peer, since this moment: its disk is kept as it is. */
    void promoted(long qemu, Traffic traffic) throws IOException, InterruptedException, DemoFailure {
        if (disk != null) {
            loggedBefore = traffic.loggedCount();
            LogDisk.copyOf(qemu, copy);
            loggedAfter = traffic.loggedCount();
        }
    }

    /**
     * The client has ended: compares the disk that the VM was promoted with, or, if it still runs where it was, the peer's image with the VM's.
     *
     * @return for the report
     * @throws DemoFailure if the disk is not right
     */
    List<DemoReport.Disk> end(Traffic traffic, Path replicaImage, double syncMs, DemoOutput output)
            throws IOException, InterruptedException, DemoFailure {
        LogDisk present = disk;
        if (present == null) {
            return List.of();
        }
        if (loggedAfter >= 0) {
            List<String> log = present.check(copy);
            LogDisk.compare(log, loggedBefore, loggedAfter, traffic.logged());
            output.line(
                    "the promoted disk: file system clean after its journal's replay, content right, all %d lines logged",
                    log.size());
        } else {
            Deadline.await("equal images of the disk on both hosts", SAME, () -> same(present.image(), replicaImage));
            output.line(
                    "%d bytes of the peer's image of the disk compared with the VM's: none differs", present.bytes());
        }
        return List.of(new DemoReport.Disk(LogDisk.NAME, present.bytes(), syncMs, true));
    }

    private static boolean same(Path image, Path replica) throws DemoFailure {
        try {
            return Files.mismatch(image, replica) == -1;
        } catch (IOException e) {
            throw new DemoFailure("the images of the disk cannot be compared: " + e, e);
        }
    }
}
