package io.lockstep.replication.replica;

import io.lockstep.linux.Errno;
import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.journal.EpochJournal;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.replica.ReplicaMarker.BootId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * All that one replica keeps on disk and tmpfs: metadata, memory files, their marker, the journal.
 *
 * <p>Invariants. A full copy begins by removing the marker, and the marker is made last: files without a marker are nobody's. Files of
 * another boot, another VM process or other sizes are never continued. The memory of a promoted VM is never deleted while it runs.
 *
 * <p>One thread at a time.
 */
final class ReplicaStore implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ReplicaStore.class);
    private static final String STANDBY = "standby";
    /** What a first copy writes in some milliseconds. */
    private static final long IMAGES_FREE_MIN = 4 << 20;

    private final ReplicaConfig config;
    private final LongSupplier wallMs;
    private final BootId boot;
    private final Path stateDirectory;
    private final Path memoryDirectory;
    private final Path diskDirectory;
    private @Nullable ReplicaMeta meta;
    private @Nullable Content content;

    /** What is open while there is a replica. */
    record Content(ReplicaPages pages, ReplicaMarker marker, EpochJournal journal, FileRange promoted) {
        ReplicaFiles files() {
            return pages.memory();
        }

        ReplicaDisks disks() {
            return pages.disks();
        }
    }

    ReplicaStore(ReplicaConfig config, String vm, BootId boot, LongSupplier wallMs) {
        this.config = config;
        this.wallMs = wallMs;
        this.boot = boot;
        String name = VmDirectory.encode(vm);
        stateDirectory = config.stateDirectory().resolve(name);
        memoryDirectory = config.memoryDirectory().resolve(name);
        diskDirectory = config.diskDirectory().resolve(name);
    }

    /** The metadata; null before the first full copy began. */
    @Nullable
    ReplicaMeta meta() {
        return meta;
    }

    /** The open replica; null if there is none. */
    @Nullable
    Content content() {
        return content;
    }

    /** Where the memory files are. */
    Path memoryDirectory() {
        return memoryDirectory;
    }

    /**
     * Opens what an earlier process left. The replica is then as the marker says; the journal may hold more.
     *
     * @return false if there is nothing to continue: no replica, another boot, or files missing; or if the VM was promoted
     */
    boolean open() throws LockstepException {
        try {
            if (!Files.exists(ReplicaMeta.path(stateDirectory))) {
                return false;
            }
            ReplicaMeta loaded = ReplicaMeta.load(stateDirectory);
            PromotedRecord promoted = PromotedRecord.load(stateDirectory);
            if (promoted != null
                    && promoted.vmIdHigh() == loaded.hello().vmIdHigh()
                    && promoted.vmIdLow() == loaded.hello().vmIdLow()) {
                loaded = loaded.promoted(promoted.epoch(), promoted.pid(), promoted.startTicks());
            }
            meta = loaded;
            if (loaded.role() == ReplicaMeta.Role.PROMOTED) {
                return false;
            }
            return openContent(loaded.hello());
        } catch (IOException e) {
            throw new LockstepException("replica-io", "Replica " + stateDirectory + " cannot be opened: " + e, e);
        }
    }

    /**
     * Begins a full copy: removes what there was, and takes the memory.
     *
     * @throws LockstepException {@code peer-shm-too-small}, {@code peer-disk-too-small}, {@code peer-owner}, {@code replica-io}
     */
    Content create(SessionHello hello, String fingerprint) throws LockstepException {
        try {
            boolean images = imagesGoOn(hello);
            discardContent(images);
            directories();
            checkDisk();
            checkImages(hello);
            checkMemory(hello);
            ReplicaMeta fresh = new ReplicaMeta(ReplicaMeta.Role.REPLICA, -1, 0, 0, fingerprint, hello);
            fresh.store(stateDirectory);
            meta = fresh;
            return createContent(hello, images);
        } catch (IOException e) {
            throw new LockstepException("replica-io", "Replica " + memoryDirectory + " cannot be made: " + e, e);
        }
    }

    private Content createContent(SessionHello hello, boolean images) throws IOException, LockstepException {
        FileRange promoted = PromotedRecord.create(stateDirectory);
        EpochJournal journal = null;
        ReplicaFiles files = null;
        ReplicaDisks disks = null;
        try {
            journal = EpochJournal.open(journalDirectory(), config.journal(), wallMs);
            files = createFiles(hello);
            disks = images ? ReplicaDisks.open(diskDirectory, hello.disks()) : createDisks(hello);
            ReplicaMarker marker = ReplicaMarker.create(memoryDirectory, hello.vmIdHigh(), hello.vmIdLow(), boot);
            Content made = new Content(new ReplicaPages(files, disks), marker, journal, promoted);
            content = made;
            return made;
        } finally {
            if (content == null) {
                closeAll(journal, files, disks, promoted);
            }
        }
    }

    /** Changes the metadata; durable when it returns. */
    void store(ReplicaMeta changed) throws LockstepException {
        try {
            Content open = content;
            boolean was = meta != null && meta.role() == ReplicaMeta.Role.PROMOTED;
            if (changed.role() == ReplicaMeta.Role.PROMOTED && open != null) {
                SessionHello hello = changed.hello();
                new PromotedRecord(
                                hello.vmIdHigh(), hello.vmIdLow(), changed.epoch(), changed.pid(), changed.startTicks())
                        .write(open.promoted());
            } else if (was && open != null) {
                PromotedRecord.clear(open.promoted());
            } else {
                changed.store(stateDirectory);
            }
            meta = changed;
        } catch (IOException e) {
            throw new LockstepException("replica-io", ReplicaMeta.path(stateDirectory) + " cannot be written: " + e, e);
        }
    }

    /** The promotion that is recorded came to nothing: {@link #open} finds a replica again; durable when it returns. */
    void takeBackPromotion() throws LockstepException {
        try {
            PromotedRecord.create(stateDirectory).close();
        } catch (IOException e) {
            throw new LockstepException(
                    "replica-io", PromotedRecord.path(stateDirectory) + " cannot be written: " + e, e);
        }
    }

    /** Notes which process maps the memory files, so that a later process of this agent can end it. */
    void noteStandby(long pid) throws IOException {
        ProcessIdentity identity = ProcessIdentity.of(pid);
        Files.writeString(memoryDirectory.resolve(STANDBY), identity.pid() + " " + identity.startTicks());
    }

    /** Ends the standby that an earlier process of this agent left, if it still waits. */
    void endStaleStandby() {
        try {
            String[] fields = Files.readString(memoryDirectory.resolve(STANDBY)).split(" ", -1);
            ProcessIdentity identity = new ProcessIdentity(Long.parseLong(fields[0]), Long.parseLong(fields[1]));
            if (identity.alive()) {
                ProcessHandle.of(identity.pid()).ifPresent(ProcessHandle::destroyForcibly);
                LOG.info("{}: standby of an earlier process ended, pid {}", memoryDirectory, identity.pid());
            }
            Files.deleteIfExists(memoryDirectory.resolve(STANDBY));
        } catch (NoSuchFileException e) {
            LOG.debug("{}: no standby was left", memoryDirectory);
        } catch (IOException | RuntimeException e) {
            LOG.warn("{}: a standby of an earlier process may be left: {}", memoryDirectory, e.toString());
        }
    }

    /** Closes and removes everything. */
    void discard() throws LockstepException {
        try {
            discardContent(false);
            Files.deleteIfExists(PromotedRecord.path(stateDirectory));
            Files.deleteIfExists(ReplicaMeta.path(stateDirectory));
            Files.deleteIfExists(stateDirectory);
            meta = null;
        } catch (IOException e) {
            throw new LockstepException("replica-io", "Replica " + stateDirectory + " cannot be removed: " + e, e);
        }
    }

    @Override
    public void close() {
        Content open = content;
        if (open != null) {
            content = null;
            closeAll(open.journal(), open.files(), open.disks(), open.marker(), open.promoted());
        }
    }

    private static void closeAll(@Nullable AutoCloseable... opened) {
        for (AutoCloseable one : opened) {
            try {
                if (one != null) {
                    one.close();
                }
            } catch (Exception e) {
                LOG.warn("closing {}: {}", one, e.toString());
            }
        }
    }

    private boolean openContent(SessionHello hello) throws LockstepException {
        ReplicaMarker marker = null;
        ReplicaFiles files = null;
        ReplicaDisks disks = null;
        FileRange promoted = null;
        try {
            marker = ReplicaMarker.open(memoryDirectory);
            if (!marker.matches(hello.vmIdHigh(), hello.vmIdLow(), boot)) {
                throw new IOException("the memory files are of another boot or another VM process");
            }
            files = ReplicaFiles.open(memoryDirectory, hello.ramBlocks());
            disks = ReplicaDisks.open(diskDirectory, hello.disks());
            promoted = PromotedRecord.create(stateDirectory);
            EpochJournal journal = EpochJournal.open(journalDirectory(), config.journal(), wallMs);
            content = new Content(new ReplicaPages(files, disks), marker, journal, promoted);
            return true;
        } catch (IOException e) {
            LockstepException cause = ReplicaIo.failure(e);
            if (ReplicaIo.wantsRoom(cause)) {
                throw cause;
            }
            LOG.warn("replica {} is lost, the VM is copied again: {}", memoryDirectory, e.getMessage());
            return false;
        } finally {
            if (content == null) {
                closeAll(files, disks, marker, promoted);
            }
        }
    }

    private ReplicaFiles createFiles(SessionHello hello) throws IOException, LockstepException {
        try {
            return ReplicaFiles.create(
                    memoryDirectory, hello.ramBlocks(), (int) hello.qemuUid(), (int) hello.qemuGid());
        } catch (LinuxException e) {
            if (e.errno() == Errno.ENOSPC || e.errno() == Errno.ENOMEM) {
                throw tooSmall(freeMemory(), hello.ramBytes());
            }
            throw e;
        } catch (java.nio.file.FileSystemException e) {
            throw new LockstepException(
                    "peer-owner",
                    "The replica's memory cannot be given to QEMU's user " + hello.qemuUid() + ":" + hello.qemuGid()
                            + ": " + e.getReason() + ". Run the agent as root, or QEMU as the agent's user.",
                    e);
        }
    }

    private ReplicaDisks createDisks(SessionHello hello) throws IOException, LockstepException {
        try {
            return ReplicaDisks.create(diskDirectory, hello, boot);
        } catch (java.nio.file.FileSystemException e) {
            throw new LockstepException(
                    "peer-owner",
                    "The replica's disks cannot be given to QEMU's user " + hello.qemuUid() + ":" + hello.qemuGid()
                            + ": " + e.getReason() + ". Run the agent as root, or QEMU as the agent's user.",
                    e);
        }
    }

    private void checkMemory(SessionHello hello) throws IOException, LockstepException {
        long needed = hello.ramBytes();
        long free = freeMemory();
        if (free < needed) {
            throw tooSmall(free, needed);
        }
    }

    private long freeMemory() throws IOException {
        return Files.getFileStore(memoryDirectory).getUsableSpace();
    }

    private LockstepException tooSmall(long free, long needed) {
        return new LockstepException(
                "peer-shm-too-small",
                "Free memory in " + memoryDirectory + " " + free + " < " + needed
                        + " bytes of the VM's RAM. Enlarge it (mount -o remount,size=... " + mountName()
                        + ") or set replica.directory on the peer.");
    }

    private Path mountName() {
        return memoryDirectory.startsWith("/dev/shm") ? Path.of("/dev/shm") : config.memoryDirectory();
    }

    private void checkDisk() throws IOException, LockstepException {
        long needed = config.journal().bytesMax();
        long free = Files.getFileStore(stateDirectory).getUsableSpace();
        if (free < needed) {
            throw new LockstepException(
                    "peer-disk-too-small",
                    "Free space in " + stateDirectory + " " + free + " < " + needed
                            + " bytes of journal.bytesMax. Free space there, or lower journal.bytesMax on the peer.");
        }
    }

    /** How much the images take is not known before: they are sparse. But without any room the first copy would only fail again and again. */
    private void checkImages(SessionHello hello) throws IOException, LockstepException {
        long free = Files.getFileStore(diskDirectory).getUsableSpace();
        if (!hello.disks().isEmpty() && free < IMAGES_FREE_MIN) {
            throw new LockstepException(
                    ReplicaIo.FULL,
                    "Free space in " + diskDirectory + " " + free + " < " + IMAGES_FREE_MIN
                            + ": there is no room for the VM's disks. Free space on the peer.");
        }
    }

    private void directories() throws IOException {
        Files.createDirectories(stateDirectory);
        // The standby's user must get to its files, which are its own, and see nothing else.
        PassableDirectory.create(config.memoryDirectory(), memoryDirectory);
        PassableDirectory.create(config.diskDirectory(), diskDirectory);
        Files.setPosixFilePermissions(stateDirectory, PosixFilePermissions.fromString("rwx------"));
    }

    /**
     * Whether the images of an interrupted first copy can be gone on with: all that was acknowledged is in them, because SYNC epochs are
     * written before that. Of DELTA epochs some may be in the journal only, so that with one of them they cannot.
     */
    private boolean imagesGoOn(SessionHello hello) throws IOException {
        if (hello.imagesId() == 0 || hello.disks().isEmpty() || !Files.exists(ReplicaMarker.path(memoryDirectory))) {
            return false;
        }
        close();
        try (ReplicaMarker marker = ReplicaMarker.open(memoryDirectory)) {
            ImagesRecord record = ImagesRecord.load(diskDirectory);
            boolean goOn = record != null
                    && record.isKnownTo(hello, boot)
                    && marker.matches(hello.vmIdHigh(), hello.vmIdLow(), boot)
                    && !marker.is(ReplicaMarker.BASELINE)
                    && !marker.is(ReplicaMarker.APPLYING);
            if (goOn) {
                ReplicaDisks.open(diskDirectory, hello.disks()).close();
            }
            return goOn;
        } catch (IOException e) {
            LOG.warn("the images in {} are made anew: {}", diskDirectory, e.getMessage());
            return false;
        }
    }

    private void discardContent(boolean keepDisks) throws IOException {
        close();
        Files.deleteIfExists(ReplicaMarker.path(memoryDirectory));
        remove(memoryDirectory);
        if (keepDisks) {
            LOG.info("{}: the interrupted copy of the disks goes on", diskDirectory);
        } else if (meta != null && meta.role() == ReplicaMeta.Role.PROMOTED) {
            keepImages();
        } else {
            remove(diskDirectory);
        }
        EpochJournal.delete(journalDirectory());
    }

    /** The VM ran from these images: they may be the only ones that have what it wrote. One generation is kept. */
    private void keepImages() throws IOException {
        try (Stream<Path> images = Files.exists(diskDirectory) ? Files.list(diskDirectory) : Stream.empty()) {
            if (images.findAny().isEmpty()) {
                remove(diskDirectory);
                return;
            }
        }
        Path previous = diskDirectory.resolveSibling(diskDirectory.getFileName() + ".previous");
        remove(previous);
        Files.move(diskDirectory, previous);
        LOG.info("the images from which {} ran here are kept in {}", diskDirectory.getFileName(), previous);
    }

    private static void remove(Path directory) throws IOException {
        if (Files.isDirectory(directory)) {
            List<Path> left;
            try (Stream<Path> files = Files.list(directory)) {
                left = files.toList();
            }
            for (Path file : left) {
                Files.deleteIfExists(file);
            }
            Files.deleteIfExists(directory);
        }
    }

    private Path journalDirectory() {
        return stateDirectory.resolve("journal");
    }
}
