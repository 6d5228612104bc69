package io.lockstep.replication.memory;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.PagemapScan;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.SoftDirty;
import io.lockstep.linux.Userfaultfd;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Chooses how a VM's writes are tracked: the best way that kernel and privileges allow. Any thread; milliseconds. */
public final class TrackerFactory {
    /** Best first. */
    public static final List<String> NAMES =
            List.of(UserfaultTracker.NAME, SoftDirtyTracker.NAME, ContentHashTracker.NAME);

    private static final long PAGE_BYTES = 4096;

    private TrackerFactory() {}

    /** What each tracker says to watching this process, best first; changes nothing in it. */
    public static List<TrackerProbe> probe(long pid, List<MemoryRegion> regions) {
        String access = accessProblem(pid);
        List<TrackerProbe> probes = new ArrayList<>();
        probes.add(result(
                UserfaultTracker.NAME,
                first(access, userfaultProblem(), access == null ? occupied(pid, regions) : null),
                "0.5 to 0.8 ms a GiB and scan"));
        probes.add(result(
                SoftDirtyTracker.NAME,
                first(access, softDirtyProblem()),
                "8 bytes read per page and scan; scans only at stops"));
        probes.add(result(ContentHashTracker.NAME, access, "reads all memory at each scan; scans only at stops"));
        return probes;
    }

    /**
     * Opens the best tracker, or the one asked for. What an earlier agent's tracker left in the process is taken over if it watches exactly
     * these regions, and only if the ledger knows the rest.
     *
     * @param vector where scans leave what they found; in a ledger if it is to outlive this process
     * @param adoptable whether the ledger was recovered, so that an earlier tracker's state is of use
     * @param forced a name of {@link #NAMES}, or null for the best
     * @param threads that scan large memory at once, at least 1
     * @return the tracker, and whether it was taken over with all that was written since
     */
    public static Opened open(
            long pid,
            List<MemoryRegion> regions,
            ScanVector vector,
            boolean adoptable,
            @Nullable String forced,
            int threads)
            throws TrackerUnavailableException {
        if (forced != null && !NAMES.contains(forced)) {
            throw new TrackerUnavailableException("tracker " + forced + " is none of " + String.join(", ", NAMES));
        }
        List<String> reasons = new ArrayList<>();
        for (TrackerProbe probe : probe(pid, regions)) {
            if (forced != null && !forced.equals(probe.name())) {
                continue;
            }
            if (!probe.available()) {
                reasons.add(probe.name() + ": " + probe.reason());
                continue;
            }
            try {
                return open(probe.name(), pid, regions, vector, adoptable, threads);
            } catch (IOException e) {
                reasons.add(probe.name() + ": " + e.getMessage());
            }
        }
        throw new TrackerUnavailableException(
                "no way to track the memory of pid " + pid + ". " + String.join(". ", reasons));
    }

    /**
     * What {@link #open} gives.
     *
     * @param tracker ready for its first scan
     * @param adopted whether it lists everything written since the earlier agent's last scan; if not, all memory must be copied
     */
    public record Opened(DirtyTracker tracker, boolean adopted) {}

    private static Opened open(
            String name, long pid, List<MemoryRegion> regions, ScanVector vector, boolean adoptable, int threads)
            throws IOException {
        return switch (name) {
            case UserfaultTracker.NAME -> {
                Optional<UserfaultTracker> adopted =
                        adoptable ? UserfaultTracker.adopt(pid, regions, vector, threads) : Optional.empty();
                yield adopted.isPresent()
                        ? new Opened(adopted.get(), true)
                        : new Opened(UserfaultTracker.attach(pid, regions, vector, threads), false);
            }
            case SoftDirtyTracker.NAME -> new Opened(new SoftDirtyTracker(pid, regions), adoptable);
            default -> new Opened(new ContentHashTracker(pid, regions), false);
        };
    }

    private static TrackerProbe result(String name, @Nullable String problem, String cost) {
        return new TrackerProbe(name, problem == null, problem == null ? cost : problem);
    }

    private static @Nullable String first(@Nullable String... problems) {
        for (String problem : problems) {
            if (problem != null) {
                return problem;
            }
        }
        return null;
    }

    /** The rights of ptrace(2) are what process_vm_readv, pagemap and the injection all need. */
    private static @Nullable String accessProblem(long pid) {
        if (!Files.isDirectory(Path.of("/proc/" + pid))) {
            return "there is no process " + pid;
        }
        try (var memory = Files.newByteChannel(Path.of("/proc/" + pid + "/mem"))) {
            return memory.isOpen() ? null : "cannot read the memory of pid " + pid;
        } catch (IOException e) {
            return "no right to trace pid " + pid + " (" + e.getMessage()
                    + "): run the agent as root, or give it CAP_SYS_PTRACE";
        }
    }

    private static @Nullable String userfaultProblem() {
        if (!System.getProperty("os.arch").equals("amd64")) {
            return "needs x86-64, this is " + System.getProperty("os.arch");
        }
        try (PagemapScan scan = new PagemapScan(ProcessHandle.current().pid())) {
            ScanVector vector = new ScanVector(1);
            // SAFETY: looks at our own first page, which is never mapped, and writes at most the one entry.
            int unused = scan.having(PagemapScan.PAGE_IS_PRESENT, 0, 0, PAGE_BYTES, vector.address(), 1);
            if (unused > 1) {
                return "PAGEMAP_SCAN gave " + unused + " entries > 1";
            }
        } catch (LinuxException e) {
            return e.errno() == Errno.ENOTTY
                    ? "kernel " + System.getProperty("os.version") + " has no PAGEMAP_SCAN: needs Linux 6.7 or newer"
                    : "PAGEMAP_SCAN does not work: " + e.getMessage();
        }
        try (Userfaultfd own = Userfaultfd.create()) {
            own.enable(Userfaultfd.FEATURES_ASYNC_TRACKING);
            return null;
        } catch (LinuxException e) {
            return switch (e.errno()) {
                case Errno.ENOSYS -> "kernel built without CONFIG_USERFAULTFD";
                case Errno.EINVAL -> "userfaultfd lacks WP_ASYNC: needs Linux 6.7 or newer";
                default -> "userfaultfd does not work: " + e.getMessage();
            };
        }
    }

    /** Somebody else's userfaultfd, or debugger. */
    private static @Nullable String occupied(long pid, List<MemoryRegion> regions) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
                if (line.startsWith("TracerPid:") && !line.substring(10).trim().equals("0")) {
                    return "pid " + pid + " is traced by pid "
                            + line.substring(10).trim() + ": end that first";
                }
            }
            boolean watched = false;
            for (ProcMaps.Mapping map : ProcMaps.detailed(pid)) {
                if (map.vmFlags().contains("um") || map.vmFlags().contains("uw")) {
                    watched |= regions.stream().anyMatch(r -> map.start() < r.hostEnd() && map.end() > r.hostAddress());
                }
            }
            if (!watched) {
                return null;
            }
            for (int fd : UserfaultTracker.descriptors(pid)) {
                if (UserfaultTracker.ours(pid, fd)) {
                    return null;
                }
            }
            return "another userfaultfd watches memory of pid " + pid + ": end its migration or snapshot first";
        } catch (IOException e) {
            return "cannot look at pid " + pid + ": " + e.getMessage();
        }
    }

    /** A page that was just written has its bit set where the kernel knows the bit at all. */
    private static @Nullable String softDirtyProblem() {
        NativeBlock page = new NativeBlock((int) (2 * PAGE_BYTES));
        long address = (page.address() + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        boolean[] seen = new boolean[1];
        try (SoftDirty own = new SoftDirty(ProcessHandle.current().pid())) {
            page.buffer().put((int) (address - page.address()), (byte) 1);
            own.scan(address, address + PAGE_BYTES, (start, end) -> seen[0] = true);
        } catch (LinuxException e) {
            return "soft-dirty bits do not work: " + e.getMessage();
        }
        return seen[0]
                ? null
                : "kernel " + System.getProperty("os.version")
                        + " built without CONFIG_MEM_SOFT_DIRTY, or this process is not privileged";
    }
}
