package io.lockstep.replication.memory;

import io.lockstep.linux.Errno;
import io.lockstep.linux.HugePages;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.RamBlock;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts pieces of a VM's memory together to huge pages while it runs, on a thread of its own: the kernel may have to make room first. What cannot be
 * put together stays as it is. Any thread.
 */
public final class HugePageMerger implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(HugePageMerger.class);

    private static final long BYTES = (long) HotPieces.PAGES * RamBlock.PAGE_BYTES;
    /** A page that is just being read or written by the kernel cannot be moved. */
    private static final int ATTEMPTS_MAX = 5;

    private static final long RETRY_NS = 20_000_000;
    private static final long IDLE_S = 5;

    private final Pidfd process;
    private final HugePages hugePages = new HugePages();
    private final ThreadPoolExecutor thread;

    /** @param process outlives this object */
    public HugePageMerger(Pidfd process, String vmName) {
        this.process = process;
        thread = new ThreadPoolExecutor(1, 1, IDLE_S, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), body -> {
            Thread made = new Thread(body, "huge-" + vmName);
            made.setDaemon(true);
            return made;
        });
        thread.allowCoreThreadTimeOut(true);
    }

    /** A piece of {@link HotPages#PIECE_PAGES}, none of which is armed; returns at once. */
    public void merge(long hostAddress) {
        thread.execute(() -> attempt(hostAddress));
    }

    private void attempt(long hostAddress) {
        for (int attempt = 1; !thread.isShutdown(); attempt++) {
            try {
                hugePages.collapse(process, hostAddress, BYTES);
                return;
            } catch (LinuxException e) {
                boolean passes = e.errno() == Errno.EAGAIN || e.errno() == Errno.EBUSY;
                if (!passes || attempt == ATTEMPTS_MAX) {
                    LOG.debug("memory stays in small pages: {}", e.getMessage());
                    return;
                }
                LockSupport.parkNanos(this, RETRY_NS);
            }
        }
    }

    /** Ends it; waits for the piece that is being put together. */
    @Override
    public void close() {
        thread.shutdownNow();
        try {
            if (!thread.awaitTermination(IDLE_S, TimeUnit.SECONDS)) {
                LOG.warn("the kernel still puts a huge page of pid {} together", process.pid());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
