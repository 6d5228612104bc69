package io.lockstep.replication.replica;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.RemoteMemory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has the kernel fill a waiting standby's page tables, so that its guest, once it runs, does not stop at the first touch of every page.
 *
 * <p>One byte is read of each 64 KiB that the replica's file holds, through the standby's own mapping. That is a fault there like any other:
 * the kernel maps what else is in the page cache around it ({@code do_fault_around} of {@code mm/memory.c}), and for writing, because
 * tmpfs has no use for a fault at the first write. Invariant: holes are left alone, so that nothing is allocated for them. Best effort: what
 * cannot be filled costs the guest its fault and nothing else. One thread.
 */
final class StandbyPageTables {
    private static final Logger LOG = LoggerFactory.getLogger(StandbyPageTables.class);

    /** What one fault maps: {@code fault_around_bytes}. */
    private static final int AROUND_BYTES = 64 << 10;

    /** So much of a processor at most, as one part of so many. */
    private static final int SHARE = 200;

    private static final long PERIOD_NS_MIN = TimeUnit.SECONDS.toNanos(1);

    private long nextNs = Long.MIN_VALUE;
    private long lastPid;

    /**
     * Fills them if it is time for it: at once for a standby that was not there before, then again for what has come since.
     *
     * @param pid the standby's
     * @param files of the blocks that it maps
     */
    void keepFilled(long nowNs, long pid, List<Path> files) {
        if (pid == lastPid && nextNs != Long.MIN_VALUE && nowNs - nextNs < 0) {
            return;
        }
        lastPid = pid;
        long beganNs = System.nanoTime();
        try {
            fill(pid, files);
        } catch (IOException e) {
            LOG.debug("page tables of standby {}: {}", pid, e.getMessage());
        }
        nextNs = nowNs + Math.max(PERIOD_NS_MIN, (System.nanoTime() - beganNs) * SHARE);
    }

    /** Fills them now. */
    static void fill(long pid, List<Path> files) throws IOException {
        RemoteMemory memory = new RemoteMemory(pid);
        NativeBlock bytes = new NativeBlock(RemoteMemory.RANGES_MAX);
        for (ProcMaps.Mapping mapping : ProcMaps.of(pid)) {
            if (!mapping.path().startsWith("/") || !mapping.shared() || !files.contains(Path.of(mapping.path()))) {
                continue;
            }
            try (FileRange file = FileRange.open(Path.of(mapping.path()), false)) {
                fill(memory, bytes, mapping, file);
            }
        }
    }

    private static void fill(RemoteMemory memory, NativeBlock bytes, ProcMaps.Mapping mapping, FileRange file)
            throws LinuxException {
        long end = Math.min(file.lengthBytes(), mapping.offset() + mapping.length());
        int queued = 0;
        memory.begin(bytes.address());
        for (long data = file.nextData(mapping.offset()); data < end; data = file.nextData(data)) {
            long hole = Math.min(end, file.nextHole(data));
            while (data < hole) {
                long address = mapping.start() + data - mapping.offset();
                memory.add(address, 1);
                if (++queued == RemoteMemory.RANGES_MAX) {
                    memory.finish();
                    memory.begin(bytes.address());
                    queued = 0;
                }
                // What lies around is counted in the process's addresses.
                data += AROUND_BYTES - address % AROUND_BYTES;
            }
        }
        memory.finish();
    }
}
