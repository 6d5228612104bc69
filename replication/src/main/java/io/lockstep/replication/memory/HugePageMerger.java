package io.lockstep.replication.memory;

import io.lockstep.linux.Errno;
import io.lockstep.linux.HugePages;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.PagemapScan;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.RamBlock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts pieces of a VM's memory together to huge pages while it runs, on a thread of its own: the kernel may have to make room first. What cannot be
 * put together stays as it is. The VM gets no memory by it that it does not use: pieces with pages that are not in memory are left alone.
 *
 * <p>{@link #remember} before {@link #restore}, by one thread; the other methods from any.
 */
public final class HugePageMerger implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HugePageMerger.class);

    private static final long BYTES = (long) HotPieces.PAGES * RamBlock.PAGE_BYTES;
    /** A page that is just being read or written by the kernel cannot be moved. */
    private static final int ATTEMPTS_MAX = 5;

    private static final long RETRY_NS = 20_000_000;
    /** What cannot be restored at once is tried again, each time after twice as long: for 10 s. */
    private static final int ROUNDS_MAX = 9;
    /** The VM waits when it writes to the piece that is put together: between two, it has as much time for itself. */
    private static final long PACE_NS = 1_000_000;

    private static final long IDLE_S = 5;
    private static final int RANGES = 1024;

    private final Pidfd process;
    private final PagemapScan pages;
    private final ScanVector found = new ScanVector(RANGES);
    private final HugePages hugePages = new HugePages();
    private final Pool thread;
    private final List<Range> remembered = new ArrayList<>();
    private volatile boolean closed;

    private record Range(long start, long end) {}

    /** @param pid the VM's process */
    public HugePageMerger(long pid, String vmName) throws LinuxException {
        process = Pidfd.open(pid);
        try {
            pages = new PagemapScan(pid);
        } catch (LinuxException e) {
            process.close();
            throw e;
        }
        thread = new Pool(vmName);
    }

    /** Looks which pieces of a region are huge pages, for {@link #restore}. */
    public void remember(MemoryRegion region) throws LinuxException {
        synchronized (found) {
            for (long at = region.hostAddress(); at < region.hostEnd(); at = pages.walkEnd()) {
                // SAFETY: the vector has room for as many entries as are asked for.
                int count = pages.having(
                        PagemapScan.PAGE_IS_HUGE, 0, at, region.hostEnd(), found.address(), found.entryCount());
                found.moveTo((start, end) -> remembered.add(new Range(start, end)), count);
            }
        }
    }

    /** A piece of {@link HotPages#PIECE_PAGES}, none of which is armed; returns at once. */
    public void merge(long hostAddress) {
        thread.execute(() -> {
            for (int attempt = 1; !merged(hostAddress) && attempt < ATTEMPTS_MAX; attempt++) {
                LockSupport.parkNanos(this, RETRY_NS);
            }
        });
    }

    /** Puts together again, in the background, what was remembered; nothing is armed any more. In place of {@link #close}. */
    public void restore() {
        thread.execute(() -> {
            List<Long> left = new ArrayList<>();
            for (Range range : remembered) {
                for (long at = range.start; at < range.end; at += BYTES) {
                    left.add(at);
                }
            }
            for (int round = 0; round <= ROUNDS_MAX && !left.isEmpty() && !closed; round++) {
                left.removeIf(start -> {
                    boolean done = closed || merged(start);
                    LockSupport.parkNanos(this, PACE_NS);
                    return done;
                });
                if (!left.isEmpty() && round < ROUNDS_MAX) {
                    LockSupport.parkNanos(this, RETRY_NS << round);
                }
            }
        });
        thread.shutdown();
    }

    /** Tries once; whether it is done, or never will be. A page that the kernel moves or writes just now passes for one that is not in memory, or in use. */
    private boolean merged(long start) {
        try {
            if (!inMemory(start)) {
                return process.awaitExit(0);
            }
            hugePages.collapse(process, start, BYTES);
            return true;
        } catch (LinuxException e) {
            LOG.debug("memory stays in small pages: {}", e.getMessage());
            return e.errno() != Errno.EAGAIN && e.errno() != Errno.EBUSY && e.errno() != Errno.ENOMEM;
        }
    }

    private boolean inMemory(long start) throws LinuxException {
        synchronized (found) {
            // SAFETY: as above.
            int count = pages.having(
                    PagemapScan.PAGE_IS_PRESENT, 0, start, start + BYTES, found.address(), found.entryCount());
            boolean whole = count == 1 && found.start(0) == start && found.end(0) == start + BYTES;
            found.moveTo((from, end) -> {}, count);
            return whole;
        }
    }

    /** Ends it; waits for the piece that is being put together. */
    @Override
    public void close() {
        closed = true;
        thread.shutdownNow();
        try {
            if (!thread.awaitTermination(IDLE_S, TimeUnit.SECONDS)) {
                LOG.warn("the kernel still puts a huge page of pid {} together", process.pid());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** One thread, while there is something to do; gives up the descriptors when all is done. */
    private final class Pool extends ThreadPoolExecutor {
        Pool(String vmName) {
            super(1, 1, IDLE_S, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), body -> {
                Thread made = new Thread(body, "huge-" + vmName);
                made.setDaemon(true);
                return made;
            });
            allowCoreThreadTimeOut(true);
        }

        @Override
        protected void terminated() {
            pages.close();
            process.close();
        }
    }
}
