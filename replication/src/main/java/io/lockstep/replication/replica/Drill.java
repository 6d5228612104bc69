package io.lockstep.replication.replica;

import io.lockstep.replication.DirectoryTree;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.PassableDirectory;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.VmDirectory;
import io.lockstep.replication.disk.NbdServer;
import io.lockstep.replication.hypervisor.ProcessOwner;
import io.lockstep.replication.hypervisor.QemuDrill;
import io.lockstep.replication.link.SessionHello;
import io.lockstep.replication.wire.RunState;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Proves that a failover would work: resumes a second standby from a copy of the replica at one boundary, sees the guest execute, and throws
 * everything away.
 *
 * <p>Invariants. The replica's files and images are read and never written. The stream goes on: the applier waits for short copies of what it
 * is about to change, never for QEMU. Neither files nor a process outlive this object, nor, but for files, this process: QEMU is killed with the
 * calling thread, and what lies in the drills' directories is removed at the next start.
 *
 * <p>One thread, but for {@link #abandon}.
 */
final class Drill {
    /** Under the directories of memory and disks: no VM's directory begins with a dot. */
    private static final String DIRECTORY = ".drill";

    private static final Logger LOG = LoggerFactory.getLogger(Drill.class);

    /** The applier looks between two epochs, and at least every 50 ms. */
    private static final long BOUNDARY_TIMEOUT_MS = 10_000;

    private static final long RUN_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(15);

    /** QEMU itself, and what else the host needs while the drill runs. */
    private static final long SPARE_BYTES = 256L << 20;

    /** An overlay may take this part of what is free on its disk. */
    private static final int OVERLAY_PART = 4;

    private static final int CONNECTIONS_MAX = 4;
    private static final int COPY_BYTES = 256 << 10;

    private final ReplicaConfig config;
    private final DrillFactory factory;
    private final SessionHello hello;
    private final ReplicaStore.Content content;
    private final EpochApplier applier;
    private final BooleanSupplier consistent;
    private final DutyCycle diskRounds;
    private final List<AutoCloseable> opened = new ArrayList<>();
    private final List<DiskOverlay> overlays = new ArrayList<>();
    private ByteBuffer deviceState = ByteBuffer.allocate(0);
    private volatile boolean abandoned;

    /**
     * @param consistent whether no SYNC epoch was begun since the last boundary; any thread
     * @param diskRounds takes how long its QEMU waits for its disks
     */
    Drill(
            ReplicaConfig config,
            DrillFactory factory,
            SessionHello hello,
            ReplicaStore.Content content,
            EpochApplier applier,
            BooleanSupplier consistent,
            DutyCycle diskRounds) {
        this.diskRounds = diskRounds;
        this.config = config;
        this.factory = factory;
        this.hello = hello;
        this.content = content;
        this.applier = applier;
        this.consistent = consistent;
    }

    /** Ends it soon: the replica is needed otherwise, or changes under it. Any thread. */
    void abandon() {
        abandoned = true;
    }

    /**
     * Does it.
     *
     * @param wake makes the applier look for its boundary
     * @throws LockstepException {@code drill-memory-too-small}, {@code drill-vm-paused}, {@code drill-not-consistent}: refused;
     *     {@code drill-abandoned}; anything else is what a failover would have failed with
     */
    DrillResult run(Runnable wake) throws LockstepException {
        DrillResult result;
        try {
            result = perform(wake);
        } catch (IOException e) {
            throw abandoned
                    ? QemuDrill.abandoned()
                    : new LockstepException("drill-io", "The drill's copy of the replica cannot be made: " + e, e);
        } catch (LockstepException e) {
            throw abandoned ? QemuDrill.abandoned() : e;
        } finally {
            remove();
        }
        return result;
    }

    private DrillResult perform(Runnable wake) throws LockstepException, IOException {
        long startNs = System.nanoTime();
        checkMemory();
        MemorySnapshot memory = new MemorySnapshot(
                content.files(), memoryDirectory(config, hello.vmName()), (int) hello.qemuUid(), (int) hello.qemuGid());
        opened.add(memory);
        List<Path> sockets = serveDisks();
        long epoch = snapshot(memory, wake);
        long heldNs = System.nanoTime();
        memory.copy(() -> abandoned);
        long copiedNs = System.nanoTime();
        QemuDrill qemu = factory.spawn(hello, memory.paths(), sockets);
        opened.add(qemu);
        memory.unlink();
        long startedNs = System.nanoTime();
        give(qemu, memory);
        qemu.load(deviceState);
        checkSound();
        long loadedNs = System.nanoTime();
        QemuDrill.Execution execution = qemu.run(RUN_TIMEOUT_NS, () -> abandoned || overlayFailure() != null);
        checkSound();
        long ranNs = System.nanoTime();
        remove();
        return new DrillResult(
                hello.vmName(),
                epoch,
                heldNs - startNs,
                copiedNs - heldNs,
                startedNs - copiedNs,
                loadedNs - startedNs,
                ranNs - loadedNs,
                System.nanoTime() - ranNs,
                memory.copiedBytes(),
                execution.processors(),
                execution.busyNs());
    }

    private void checkMemory() throws IOException, LockstepException {
        Path directory = config.memoryDirectory();
        checkMemory(
                directory,
                Math.min(Files.getFileStore(directory).getUsableSpace(), availableBytes()),
                hello.ramBytes() + SPARE_BYTES);
    }

    static void checkMemory(Path directory, long free, long needed) throws LockstepException {
        if (free < needed) {
            throw new LockstepException(
                    "drill-memory-too-small",
                    "Free memory for " + directory + " " + free + " < " + needed
                            + " bytes of a second copy of the VM's RAM and " + SPARE_BYTES
                            + " for QEMU: nothing was tried. Free memory, or enlarge the tmpfs.");
        }
    }

    /** What can be had without swapping; proc(5), meminfo. */
    private static long availableBytes() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/meminfo"))) {
            return lines.filter(line -> line.startsWith("MemAvailable:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) << 10)
                    .findFirst()
                    .orElse(Long.MAX_VALUE);
        }
    }

    private List<Path> serveDisks() throws IOException, LockstepException {
        ReplicaDisks images = content.disks();
        List<Path> sockets = new ArrayList<>();
        Path directory = diskDirectory(config, hello.vmName());
        ProcessOwner owner = new ProcessOwner((int) hello.qemuUid(), (int) hello.qemuGid());
        if (!images.disks().isEmpty()) {
            Files.createDirectories(directory);
        }
        for (int i = 0; i < images.disks().size(); i++) {
            long bytesMax = Files.getFileStore(directory).getUsableSpace() / OVERLAY_PART;
            DiskOverlay overlay = new DiskOverlay(images, i, directory.resolve("disk-" + i), bytesMax);
            opened.add(overlay);
            overlays.add(overlay);
            NbdServer server = new NbdServer(
                    factory.directory(hello.vmName()).resolve("disk-" + i + ".nbd"),
                    overlay,
                    owner,
                    CONNECTIONS_MAX,
                    diskRounds);
            opened.add(server);
            sockets.add(server.socket());
        }
        return sockets;
    }

    /** Holds the replica's state at a boundary; its epoch. */
    private long snapshot(MemorySnapshot memory, Runnable wake) throws LockstepException {
        FutureTask<Long> task = new FutureTask<>(() -> {
            ByteBuffer state = applier.deviceState();
            ByteBuffer copy = BufferUtil.allocateDirectAligned(state.limit(), 4096);
            copy.put(state.position(0)).flip();
            deviceState = copy;
            if (applier.runState() != RunState.RUNNING) {
                throw new LockstepException(
                        "drill-vm-paused",
                        "VM " + hello.vmName()
                                + " is paused on its primary: a guest that stands still proves nothing.");
            }
            memory.begin();
            content.disks().before((disk, page) -> overlays.get(disk).keep(page));
            // Pages of a SYNC epoch are written after it was said here that it began.
            if (!consistent.getAsBoolean()) {
                throw new LockstepException(
                        "drill-not-consistent",
                        "Replica " + hello.vmName()
                                + " holds no consistent state: the VM is being copied. Try again when it is"
                                + " protected.");
            }
            return applier.applied();
        });
        if (!applier.atBoundary(task)) {
            throw new IllegalStateException("two drills of " + hello.vmName());
        }
        wake.run();
        try {
            return task.get(BOUNDARY_TIMEOUT_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            @Nullable Throwable cause = e.getCause();
            throw cause instanceof LockstepException refusal
                    ? refusal
                    : new LockstepException("drill-io", "The replica cannot be read: " + cause, e);
        } catch (TimeoutException e) {
            task.cancel(false);
            throw QemuDrill.abandoned();
        } catch (InterruptedException e) {
            task.cancel(false);
            Thread.currentThread().interrupt();
            throw QemuDrill.abandoned();
        }
    }

    /** Writes the blocks that QEMU does not map. */
    private void give(QemuDrill qemu, MemorySnapshot memory) throws LockstepException, IOException {
        ByteBuffer copy = BufferUtil.allocateDirectAligned(COPY_BYTES, 4096);
        for (RamBlock block : hello.ramBlocks()) {
            int page = 0;
            while (!block.main() && page < block.pageCount()) {
                int count = memory.read(block.index(), page, copy);
                qemu.writeBlock(block.name(), (long) page * RamBlock.PAGE_BYTES, copy);
                page += count;
            }
        }
    }

    private @Nullable String overlayFailure() {
        for (DiskOverlay overlay : overlays) {
            if (overlay.failure() != null) {
                return overlay.failure();
            }
        }
        return null;
    }

    private void checkSound() throws LockstepException {
        String failure = overlayFailure();
        if (abandoned) {
            throw QemuDrill.abandoned();
        }
        if (failure != null) {
            throw new LockstepException("drill-io", "The drill's disks failed: " + failure + ".");
        }
    }

    /** QEMU first, then what it used. */
    private void remove() {
        // First: what is closed below must not be written to any more.
        content.files().before(null);
        content.disks().before(null);
        for (int i = opened.size() - 1; i >= 0; i--) {
            try {
                opened.get(i).close();
            } catch (Exception e) {
                LOG.warn("{}: something of a drill is left: {}", hello.vmName(), e.toString());
            }
        }
        opened.clear();
        removeTree(factory.directory(hello.vmName()));
        removeTree(diskDirectory(config, hello.vmName()));
    }

    /** Removes what drills of an earlier life left. */
    static void cleanUp(ReplicaConfig config, DrillFactory factory) {
        factory.cleanUp();
        removeTree(config.memoryDirectory().resolve(DIRECTORY));
        removeTree(config.diskDirectory().resolve(DIRECTORY));
    }

    private static Path memoryDirectory(ReplicaConfig config, String vm) throws IOException {
        return passable(config.memoryDirectory(), vm);
    }

    private static Path diskDirectory(ReplicaConfig config, String vm) {
        return config.diskDirectory().resolve(DIRECTORY).resolve(VmDirectory.encode(vm));
    }

    /** QEMU's user must get through to its files. */
    private static Path passable(Path above, String vm) throws IOException {
        Path top = above.resolve(DIRECTORY);
        return PassableDirectory.create(top, top.resolve(VmDirectory.encode(vm)));
    }

    static void removeTree(Path top) {
        try {
            DirectoryTree.remove(top);
        } catch (IOException e) {
            LOG.warn("{} is left of a drill: {}", top, e.toString());
        }
    }
}
