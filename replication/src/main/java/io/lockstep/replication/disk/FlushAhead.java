package io.lockstep.replication.disk;

import com.fasterxml.jackson.databind.JsonNode;
import io.lockstep.linux.FileRange;
import io.lockstep.linux.LinuxException;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flushes the files of a VM's disks right before a stop, while the guest still runs. QEMU flushes every disk as part of a stop ({@code do_vm_stop}
 * in softmmu/cpus.c), while the guest waits, and that takes as long as the medium needs for all that was written since the last flush: 6 ms for 8
 * MiB on a disk of 1.2 GB/s, against 0.2 ms for nothing. The guest's own flushes are QEMU's, as ever: what the guest is told of them does not change.
 *
 * <p>Threads: {@link #begin}, {@link #await} and what they ask are the capture thread's; the flushes have a thread of their own, which a disk that
 * does not answer holds up, and nobody else for long.
 */
final class FlushAhead implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(FlushAhead.class);

    /** Less than this is flushed in the stop in less time than it takes to have it done ahead. */
    static final long BYTES_MIN = 512 << 10;

    /** Each pass flushes what was written during the one before, which is less and less, or more passes do not help. */
    private static final int PASSES_MAX = 3;

    /** The capture thread waits no longer for them: QEMU's own flush waits for the rest, as ever. */
    private static final long AWAIT_NS_MAX = 50_000_000;

    /** They begin no earlier before a stop: what is written after them is worth less than what they flush. */
    private static final long LEAD_NS_MAX = 50_000_000;

    private static final long LEAD_NS_FIRST = 5_000_000;

    /** Who protects no more may take the medium away: its files are closed by then, unless a flush hangs. */
    private static final long JOIN_MS = 1_000;

    private static final int FILE_TYPE_MASK = 0170000;
    private static final int REGULAR_FILE = 0100000;
    private static final int BLOCK_DEVICE = 0060000;

    /** Not changed once the thread runs. */
    private List<FileRange> files = List.of();

    private final LongSupplier written;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Thread thread = new Thread(this::run, "disk-flush");
    private boolean wanted;
    private boolean closed;
    private volatile boolean useful;
    private volatile long flushed;
    private volatile long tookNs = LEAD_NS_FIRST;

    /** @param written bytes that were written to any of the disks by now; never less than before; any thread */
    FlushAhead(LongSupplier written) {
        this.written = written;
    }

    /**
     * Opens the files and devices on which disks lie, as their QEMU sees them. Left out are those that QEMU does not flush ({@code cache=unsafe})
     * and what is not a file of this host.
     *
     * @throws LockstepException {@code qmp-error}
     */
    static List<FileRange> files(QmpConnection qmp, long pid, List<GuestDisk> disks) throws LockstepException {
        List<FileRange> opened = new ArrayList<>();
        for (JsonNode block : qmp.execute("query-block")) {
            JsonNode inserted = block.path("inserted");
            String name = inserted.path("image").path("filename").asText();
            if (!inserted.path("cache").path("no-flush").asBoolean()
                    && disks.stream().anyMatch(disk -> disk.disk().file().equals(name))) {
                try {
                    Path file = Path.of("/proc", Long.toString(pid), name.startsWith("/") ? "root" : "cwd", name);
                    int type = (int) Files.getAttribute(file, "unix:mode") & FILE_TYPE_MASK;
                    if (type == REGULAR_FILE || type == BLOCK_DEVICE) {
                        opened.add(FileRange.open(file, false));
                    }
                } catch (IOException | InvalidPathException e) {
                    LOG.info("{} is flushed in the stops alone: {}", name, e.toString());
                }
            }
        }
        return opened;
    }

    /** Flushes these from now on; they are taken over. Once. */
    void start(List<FileRange> opened) {
        files = List.copyOf(opened);
        flushed = written.getAsLong();
        useful = !files.isEmpty();
        if (useful) {
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** Whether there are files to flush, and flushing them does not fail. */
    boolean useful() {
        return useful;
    }

    /** Whether so much was written since the last flush that one is worth it. */
    boolean pays() {
        return useful && written.getAsLong() - flushed >= BYTES_MIN;
    }

    /** How long before a stop to begin, in nanoseconds: what the last flushes took, and a quarter more. */
    long leadNs() {
        return Math.min(tookNs + tookNs / 4, LEAD_NS_MAX);
    }

    /** Begins to flush if that pays; returns at once. */
    void begin() {
        if (pays()) {
            lock.lock();
            try {
                wanted = true;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
        }
    }

    /** Waits until what was begun is done, for {@value #AWAIT_NS_MAX} ns at most. */
    void await() {
        lock.lock();
        try {
            long leftNs = AWAIT_NS_MAX;
            while (wanted && leftNs > 0) {
                leftNs = changed.awaitNanos(leftNs);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            lock.unlock();
        }
    }

    private void run() {
        try {
            while (awaitWanted()) {
                long beganNs = System.nanoTime();
                for (int pass = 0; pass < PASSES_MAX && pays(); pass++) {
                    pass();
                }
                tookNs = System.nanoTime() - beganNs;
                done();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            useful = false;
            done();
            files.forEach(FileRange::close);
        }
    }

    private void pass() {
        long before = written.getAsLong();
        try {
            for (FileRange file : files) {
                file.sync();
            }
        } catch (LinuxException e) {
            // QEMU's own flush meets the same error, and does what the VM's werror says.
            useful = false;
            LOG.warn("{}: disks are flushed in the stops alone from now on", e.getMessage());
        }
        flushed = before;
    }

    private boolean awaitWanted() throws InterruptedException {
        lock.lock();
        try {
            while (!wanted && !closed) {
                changed.await();
            }
            return !closed;
        } finally {
            lock.unlock();
        }
    }

    private void done() {
        lock.lock();
        try {
            wanted = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Closes the files; a flush that hangs keeps them until it ends by itself. */
    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        try {
            thread.join(JOIN_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
