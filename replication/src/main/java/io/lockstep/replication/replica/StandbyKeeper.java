package io.lockstep.replication.replica;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.link.SessionHello;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps one standby ready: spawns it ahead, gives it the blocks that it does not map, spawns the next when it dies.
 *
 * <p>What changed in those blocks since they were given is little, so that a promotion has little left to write. Synchronized; a spawn
 * holds the lock, and a promotion that comes meanwhile waits for it.
 */
final class StandbyKeeper implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(StandbyKeeper.class);
    private static final int COPY_BYTES = 256 << 10;
    private static final int CHANGED_PAGES_MAX = 64; // 256 KiB: well under a millisecond at a promotion
    private static final long RETRY_NS_MIN = TimeUnit.SECONDS.toNanos(1);
    private static final long RETRY_NS_MAX = TimeUnit.SECONDS.toNanos(30);
    private static final long REFRESH_NS = TimeUnit.SECONDS.toNanos(1);

    private final String vm;
    private final StandbyFactory factory;
    private final ReplicaCounters counters;
    private final Events events;
    private final StandbyPageTables pageTables = new StandbyPageTables();
    private final ByteBuffer copy = BufferUtil.allocateDirectAligned(COPY_BYTES, 4096);
    private @Nullable SessionHello hello;
    private @Nullable ReplicaFiles files;
    private volatile List<Path> paths = List.of();
    private volatile @Nullable Standby standby;
    /** A promotion has it: what it does not wait for any more is no reason to spawn another. */
    private boolean lent;

    private long retryNs = RETRY_NS_MIN;
    private long nextSpawnNs = Long.MIN_VALUE;
    private long nextRefreshNs = Long.MIN_VALUE;

    /** Learns what the keeper does. */
    interface Events {
        void error(String code, String message);

        /** No standby could be started; another attempt follows. */
        void standbyFailed(String code, String message);

        void spawned(long pid) throws IOException;
    }

    StandbyKeeper(String vm, StandbyFactory factory, ReplicaCounters counters, Events events) {
        this.vm = vm;
        this.factory = factory;
        this.counters = counters;
        this.events = events;
    }

    /** From now on a standby of this VM is wanted, with these files of the stream's blocks; one of other files is ended. */
    synchronized void want(SessionHello wantedHello, ReplicaFiles wantedFiles, List<Path> wantedPaths) {
        if (files != wantedFiles) {
            end();
        }
        hello = wantedHello;
        files = wantedFiles;
        paths = wantedPaths;
        nextSpawnNs = Long.MIN_VALUE;
    }

    /** No standby is wanted; the one there is, is ended. */
    synchronized void unwant() {
        end();
        hello = null;
        files = null;
    }

    /** Ends the standby, so that another is spawned: it was loaded and is not needed. */
    synchronized void replace() {
        end();
        nextSpawnNs = Long.MIN_VALUE;
    }

    /** Whether one waits; any thread, never blocks. */
    boolean ready() {
        Standby present = standby;
        return present != null && present.ready();
    }

    /** Process id of the one that waits; 0 if there is none; any thread. */
    long pid() {
        Standby present = standby;
        return present != null ? present.pid() : 0;
    }

    /**
     * Spawns what is missing and refreshes what it was given.
     *
     * @return whether there was anything to do
     */
    synchronized boolean doWork(long nowNs) {
        SessionHello wanted = hello;
        ReplicaFiles from = files;
        if (wanted == null || from == null || lent) {
            return false;
        }
        Standby present = standby;
        if (present != null && present.ready()) {
            if (nextRefreshNs == Long.MIN_VALUE || nowNs - nextRefreshNs >= 0) {
                nextRefreshNs = nowNs + REFRESH_NS;
                return refresh(present, from);
            }
            return false;
        }
        if (nextSpawnNs != Long.MIN_VALUE && nowNs - nextSpawnNs < 0) {
            return false;
        }
        if (present != null) {
            events.error("standby-died", "The standby (pid " + present.pid() + ") died; another is started.");
        }
        spawn(wanted, from, nowNs);
        return true;
    }

    /** Prepares the one that waits, if there is one, for the guest's first touches of its memory; holds up nobody. One thread. */
    void fillPageTables(long nowNs) {
        Standby present = standby;
        if (present != null && present.ready()) {
            pageTables.keepFilled(nowNs, present.pid(), paths);
        }
    }

    /**
     * The standby, with every block as in the files, for the caller to load. It stays the keeper's, who leaves it
     * alone until {@link #release} or {@link #replace}.
     *
     * @throws LockstepException {@code standby-missing} and whatever starting one throws
     */
    synchronized Standby prepare(long nowNs) throws LockstepException, IOException {
        ReplicaFiles from = files;
        SessionHello wanted = hello;
        if (wanted == null || from == null) {
            throw new LockstepException(
                    "standby-missing", "There is no standby of " + vm + ": no session has begun here.");
        }
        Standby present = standby;
        if (present == null || !present.ready()) {
            end();
            present = start(wanted, from);
        }
        lent = true;
        give(present, from);
        return present;
    }

    /** The standby is the VM now, and nobody's to end. */
    synchronized void release() {
        standby = null;
        lent = false;
        hello = null;
        files = null;
    }

    @Override
    public void close() {
        unwant();
    }

    private void spawn(SessionHello wanted, ReplicaFiles from, long nowNs) {
        end();
        try {
            start(wanted, from);
            retryNs = RETRY_NS_MIN;
        } catch (LockstepException e) {
            fail(e.code(), String.valueOf(e.getMessage()), nowNs);
        } catch (IOException e) {
            fail("replica-io", "The replica cannot be read: " + e, nowNs);
        }
    }

    private void fail(String code, String message, long nowNs) {
        end();
        nextSpawnNs = nowNs + retryNs;
        retryNs = Math.min(2 * retryNs, RETRY_NS_MAX);
        events.standbyFailed(code, message);
    }

    private Standby start(SessionHello wanted, ReplicaFiles from) throws LockstepException, IOException {
        counters.standbySpawns.incrementAndGet();
        Standby spawned = factory.spawn(wanted, paths);
        standby = spawned;
        events.spawned(spawned.pid());
        from.allChanged();
        give(spawned, from);
        LOG.info("{}: standby ready, pid {}", vm, spawned.pid());
        return spawned;
    }

    private boolean refresh(Standby present, ReplicaFiles from) {
        int changed = 0;
        for (RamBlock block : from.blocks()) {
            changed += block.main() ? 0 : from.changedCount(block.index());
        }
        if (changed <= CHANGED_PAGES_MAX) {
            return false;
        }
        try {
            give(present, from);
        } catch (LockstepException | IOException e) {
            LOG.warn("{}: standby {} cannot be given its memory: {}", vm, present.pid(), e.getMessage());
            end();
        }
        return true;
    }

    private void give(Standby to, ReplicaFiles from) throws LockstepException, IOException {
        for (RamBlock block : from.blocks()) {
            if (block.main()) {
                continue;
            }
            int page = from.takeChanged(block.index(), 0, copy);
            while (page >= 0) {
                int count = copy.limit() / ReplicaFiles.PAGE_BYTES;
                to.writeBlock(block.name(), (long) page * ReplicaFiles.PAGE_BYTES, copy);
                page = from.takeChanged(block.index(), page + count, copy);
            }
        }
    }

    private void end() {
        Standby present = standby;
        standby = null;
        lent = false;
        if (present != null) {
            present.close();
        }
    }
}
