package io.lockstep.replication.memory;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.ProcessIdentity;
import io.lockstep.linux.RemoteSyscall;
import io.lockstep.linux.Userfaultfd;
import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Asynchronous userfaultfd write protection and PAGEMAP_SCAN; Linux 6.7. The userfaultfd belongs to QEMU's address space: QEMU creates
 * it by an injected system call and keeps it when this process dies, so that a successor adopts it with all its state.
 *
 * <p>The first scan after {@link #attach} lists what is mapped, not what has content: pages of a shared file that QEMU never touched are
 * missing. The first copy takes every page, whatever the scan says.
 *
 * <p>Not reported: holes punched in shared memory ({@link DiscardWatch}), writes through another mapping of it.
 */
public final class UserfaultTracker implements DirtyTracker {
    /** Its name in configuration and reports. */
    public static final String NAME = "userfaultfd-wp";

    private static final DirtyRanges NOWHERE = (start, end) -> {};

    private static final String LINK = "anon_inode:[userfaultfd]";

    private final ProcessIdentity process;
    private final List<MemoryRegion> regions;
    private final int remoteFd;
    private final Userfaultfd userfaultfd;
    private final ScanTeam team;
    private final ColdRanges cold = new ColdRanges();
    private boolean open = true;

    private UserfaultTracker(
            ProcessIdentity process, List<MemoryRegion> regions, int remoteFd, Userfaultfd userfaultfd, ScanTeam team) {
        this.process = process;
        this.regions = List.copyOf(regions);
        this.remoteFd = remoteFd;
        this.userfaultfd = userfaultfd;
        this.team = team;
    }

    /**
     * Creates the userfaultfd in the process, some milliseconds of one of its threads, and watches the regions. A descriptor that an
     * earlier agent left there and that {@link #adopt} refused is removed first.
     *
     * @param vector where scans leave what they found; in a ledger if it is to outlive this process
     * @param threads that scan at once, at least 1; memory below 1 GiB has one
     */
    public static UserfaultTracker attach(long pid, List<MemoryRegion> regions, ScanVector vector, int threads)
            throws IOException {
        ProcessIdentity process = ProcessIdentity.of(pid);
        for (int leftover : descriptors(pid)) {
            if (ours(pid, leftover)) {
                RemoteSyscall.close(pid, leftover);
            }
        }
        int remoteFd = RemoteSyscall.userfaultfd(pid);
        boolean done = false;
        try {
            UserfaultTracker tracker = over(process, regions, remoteFd, true, vector, threads);
            done = true;
            return tracker;
        } finally {
            if (!done) {
                // Closing its last descriptor also ends what was registered.
                RemoteSyscall.close(pid, remoteFd);
            }
        }
    }

    /**
     * Takes over what an earlier agent's tracker left in the process. Nothing written since that one's last scan is lost.
     *
     * @return empty if there is no userfaultfd of an agent's in the process that watches exactly these regions
     */
    public static Optional<UserfaultTracker> adopt(long pid, List<MemoryRegion> regions, ScanVector vector, int threads)
            throws IOException {
        ProcessIdentity process = ProcessIdentity.of(pid);
        if (!watchedExactly(pid, regions)) {
            return Optional.empty();
        }
        for (int remoteFd : descriptors(pid)) {
            if (!ours(pid, remoteFd)) {
                continue;
            }
            try {
                // Registering again what this very descriptor watches changes nothing; for any other one it is EBUSY.
                return Optional.of(over(process, regions, remoteFd, false, vector, threads));
            } catch (LinuxException e) {
                if (e.errno() != Errno.EBUSY) {
                    throw e;
                }
            }
        }
        return Optional.empty();
    }

    private static UserfaultTracker over(
            ProcessIdentity process,
            List<MemoryRegion> regions,
            int remoteFd,
            boolean fresh,
            ScanVector vector,
            int threads)
            throws IOException {
        Userfaultfd userfaultfd;
        try (Pidfd pidfd = Pidfd.open(process.pid())) {
            userfaultfd = new Userfaultfd(pidfd.getfd(remoteFd));
        }
        boolean done = false;
        try {
            if (fresh) {
                userfaultfd.enable(Userfaultfd.FEATURES_ASYNC_TRACKING);
            }
            for (MemoryRegion region : regions) {
                userfaultfd.registerWriteProtect(
                        region.hostAddress(), region.block().lengthBytes());
            }
            long bytes = regions.stream()
                    .mapToLong(region -> region.block().lengthBytes())
                    .sum();
            int pageBytes = regions.stream()
                    .mapToInt(region -> region.block().pageBytes())
                    .max()
                    .orElse(RamBlock.PAGE_BYTES);
            ScanTeam team =
                    new ScanTeam(process.pid(), vector, bytes < ScanTeam.MEMORY_BYTES_MIN ? 1 : threads, pageBytes);
            done = true;
            return new UserfaultTracker(process, regions, remoteFd, userfaultfd, team);
        } finally {
            if (!done) {
                userfaultfd.close();
            }
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public void scanAndArm(DirtyRanges into) throws LinuxException {
        scan(into, true);
    }

    @Override
    public boolean armsSelectively() {
        return true;
    }

    /** Only a scan that arms makes the kernel forget a page, and lists it: what the scan before it listed decides where, not what. */
    @Override
    public void scanAndArmCold(HotPages hot, boolean whole, DirtyRanges into) throws LinuxException {
        if (hot.count() == 0) {
            scanAndArm(into);
            return;
        }
        for (int i = 0, count = regions.size(); i < count; i++) {
            MemoryRegion region = regions.get(i);
            cold.begin(hot, region, whole ? into : NOWHERE);
            team.scan(region.hostAddress(), region.hostEnd(), false, cold);
            for (int range = 0; range < cold.count(); range++) {
                team.scan(cold.start(range), cold.end(range), true, into);
            }
        }
    }

    @Override
    public void disarm(long start, long end) throws LinuxException {
        try {
            userfaultfd.liftWriteProtect(start, end - start);
        } catch (LinuxException e) {
            if (e.errno() != Errno.EAGAIN) {
                throw e;
            }
            // QEMU changes its mappings just now: what stays armed is listed when it is written, as any other page.
        }
    }

    @Override
    public void peek(DirtyRanges into) throws LinuxException {
        scan(into, false);
    }

    private void scan(DirtyRanges into, boolean protect) throws LinuxException {
        for (int i = 0, count = regions.size(); i < count; i++) {
            MemoryRegion region = regions.get(i);
            team.scan(region.hostAddress(), region.hostEnd(), protect, into);
        }
    }

    @Override
    public boolean armsAtomically() {
        return true;
    }

    @Override
    public boolean survivesRestart() {
        return true;
    }

    @Override
    public Map<String, DutyCycle> rounds() {
        return team.rounds();
    }

    @Override
    public void detach() throws LinuxException {
        try {
            if (!process.alive()) {
                return;
            }
            for (MemoryRegion region : regions) {
                userfaultfd.unregister(region.hostAddress(), region.block().lengthBytes());
            }
            if (Descriptors.target(process.pid(), remoteFd).equals(LINK)) {
                RemoteSyscall.close(process.pid(), remoteFd);
            }
        } catch (LinuxException e) {
            if (e.errno() != Errno.ESRCH) {
                throw e;
            }
        } catch (IOException e) {
            LinuxException failure = new LinuxException("detach from pid " + process.pid(), Errno.EIO);
            failure.initCause(e);
            throw failure;
        } finally {
            close();
        }
    }

    @Override
    public void close() {
        if (open) {
            open = false;
            team.close();
            userfaultfd.close();
        }
    }

    /** Whether the watched mappings of the process are these regions, whole, and nothing else. */
    private static boolean watchedExactly(long pid, List<MemoryRegion> regions) throws IOException {
        long watchedBytes = 0;
        long coveredBytes = 0;
        for (ProcMaps.Mapping map : ProcMaps.detailed(pid)) {
            if (!map.vmFlags().contains("uw")) {
                continue;
            }
            watchedBytes += map.length();
            for (MemoryRegion region : regions) {
                long start = Math.max(map.start(), region.hostAddress());
                long end = Math.min(map.end(), region.hostEnd());
                coveredBytes += Math.max(0, end - start);
            }
        }
        long wantedBytes = regions.stream()
                .mapToLong(region -> region.block().lengthBytes())
                .sum();
        return watchedBytes == wantedBytes && coveredBytes == wantedBytes;
    }

    /** The process's userfaultfds. */
    static List<Integer> descriptors(long pid) throws IOException {
        List<Integer> found = new ArrayList<>();
        try (DirectoryStream<Path> links = Files.newDirectoryStream(Path.of("/proc/" + pid + "/fd"))) {
            for (Path link : links) {
                int fd = Integer.parseInt(link.getFileName().toString());
                if (Descriptors.target(pid, fd).equals(LINK)) {
                    found.add(fd);
                }
            }
        }
        return found;
    }

    /**
     * Whether a userfaultfd has the features that an agent asks for, or none yet, when the agent died in between. QEMU's own ones
     * (postcopy, background snapshot) are not asynchronous. {@code fs/userfaultfd.c}: {@code API: aa:FEATURES:SUPPORTED}.
     */
    static boolean ours(long pid, int fd) throws IOException {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/fdinfo/" + fd))) {
                if (line.startsWith("API:")) {
                    String[] fields = line.substring(4).trim().split(":", -1);
                    long features = Long.parseUnsignedLong(fields[1], 16);
                    return (features & Userfaultfd.FEATURE_WP_ASYNC) != 0;
                }
            }
            return false;
        } catch (NoSuchFileException e) {
            return false;
        }
    }
}
