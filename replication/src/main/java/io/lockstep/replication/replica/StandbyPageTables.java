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
    /** Address in the standby up to which this round has come. */
    private long reached;

    private long roundNs;

    /**
     * Fills a slice of them if it is time for it: a round at once for a standby that was not there before, then again for what has come since.
     * Takes a few milliseconds at most, whatever the size of the VM: who calls has a peer to watch.
     *
     * @param pid the standby's
     * @param files of the blocks that it maps
     */
    void keepFilled(long nowNs, long pid, List<Path> files) {
        if (pid != lastPid) {
            lastPid = pid;
            reached = 0;
            roundNs = 0;
        } else if (reached == 0 && nowNs - nextNs < 0) {
            return;
        }
        long beganNs = System.nanoTime();
        try {
            reached = fill(pid, files, reached);
        } catch (IOException e) {
            LOG.debug("page tables of standby {}: {}", pid, e.getMessage());
            reached = 0;
        }
        roundNs += System.nanoTime() - beganNs;
        if (reached == 0) {
            nextNs = nowNs + Math.max(PERIOD_NS_MIN, roundNs * SHARE);
            roundNs = 0;
        }
    }

    /**
     * Fills a slice now.
     *
     * @param from address in the standby
     * @return where the next slice begins; 0 if there is none
     */
    static long fill(long pid, List<Path> files, long from) throws IOException {
        RemoteMemory memory = new RemoteMemory(pid);
        NativeBlock bytes = new NativeBlock(RemoteMemory.RANGES_MAX);
        for (ProcMaps.Mapping mapping : ProcMaps.of(pid)) {
            if (mapping.end() > from
                    && mapping.path().startsWith("/")
                    && mapping.shared()
                    && files.contains(Path.of(mapping.path()))) {
                try (FileRange file = FileRange.open(Path.of(mapping.path()), false)) {
                    long next = fill(memory, bytes, mapping, file, Math.max(from, mapping.start()));
                    if (next != 0) {
                        return next;
                    }
                }
            }
        }
        return 0;
    }

    private static long fill(
            RemoteMemory memory, NativeBlock bytes, ProcMaps.Mapping mapping, FileRange file, long from)
            throws LinuxException {
        long toAddress = mapping.start() - mapping.offset();
        long end = Math.min(file.lengthBytes(), mapping.end() - toAddress);
        int queued = 0;
        memory.begin(bytes.address());
        for (long data = file.nextData(from - toAddress); data < end; data = file.nextData(data)) {
            long hole = Math.min(end, file.nextHole(data));
            while (data < hole) {
                if (queued == RemoteMemory.RANGES_MAX) {
                    memory.finish();
                    return toAddress + data;
                }
                long address = toAddress + data;
                memory.add(address, 1);
                queued++;
                // What lies around is counted in the process's addresses.
                data += AROUND_BYTES - address % AROUND_BYTES;
            }
        }
        memory.finish();
        return 0;
    }
}
