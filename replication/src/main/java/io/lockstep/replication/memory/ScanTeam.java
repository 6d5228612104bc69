package io.lockstep.replication.memory;

import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.PagemapScan;
import io.lockstep.replication.DutyCycle;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemNanoClock;
import org.jspecify.annotations.Nullable;

/**
 * Scans large memory with several threads: the kernel walks page tables, and several walks do not wait for each other. Invariants:
 *
 * <ul>
 *   <li>When {@link #scan} returns or throws, every range that the kernel has listed, and so forgotten, was handed on.
 *   <li>Only the caller's thread hands ranges on. Each helper has a part of the scan vector, so that they all outlive this process.
 *   <li>Nobody waits for a helper that has not begun: pieces are taken by whoever comes first, and the caller takes them, too.
 * </ul>
 *
 * Allocates nothing per scan.
 */
final class ScanTeam implements AutoCloseable {
    /** 0.5 ms a GiB: a piece takes some 60 µs, long against a system call, short against the pause. A multiple of a page table's 2 MiB. */
    private static final long PIECE_BYTES = 128L << 20;

    /** Below, a helper's waking takes as long as the scan. */
    static final long MEMORY_BYTES_MIN = 1L << 30;

    /** Looks for the last helper before the caller sleeps: some 10 µs. */
    private static final int SPINS = 500;

    /** A helper wakes the caller; this bounds the wait if that comes between its last look and its sleep. */
    private static final long WAIT_NS = 50_000;

    private static final int ROUND_SHIFT = 32;

    private final long pieceBytes;
    private final NanoClock clock;
    private final Member caller;
    private final Member[] helpers;
    /** The round, and in the lower half the next piece: a helper that comes late finds that no piece is left, or takes one of a new round. */
    private final AtomicLong ticket = new AtomicLong();

    private final AtomicInteger done = new AtomicInteger();
    private long start;
    private long end;
    private boolean protect;
    private int pieces;
    private @Nullable Thread waiting;
    private volatile boolean open = true;

    /**
     * @param pid of the process to scan
     * @param vector is cut into a part for each thread
     * @param threads at least 1; the caller's is one of them
     * @param pageBytes size of the largest page of the memory's backing: a piece holds whole ones
     */
    ScanTeam(long pid, ScanVector vector, int threads, int pageBytes) throws LinuxException {
        this(pid, vector, threads, Math.max(PIECE_BYTES, pageBytes), SystemNanoClock.INSTANCE);
    }

    /**
     * @param pieceBytes that one thread takes at once; a multiple of the page size
     * @param clock of the helpers' rounds
     */
    ScanTeam(long pid, ScanVector vector, int threads, long pieceBytes, NanoClock clock) throws LinuxException {
        this.pieceBytes = pieceBytes;
        this.clock = clock;
        caller = new Member(pid, vector.part(0, threads));
        helpers = new Member[threads - 1];
        boolean complete = false;
        try {
            for (int i = 0; i < helpers.length; i++) {
                helpers[i] = new Member(pid, vector.part(i + 1, threads));
            }
            complete = true;
        } finally {
            if (!complete) {
                closeScans();
            }
        }
        for (int i = 0; i < helpers.length; i++) {
            Member helper = helpers[i];
            Thread thread = new Thread(() -> help(helper), "lockstep-scan-" + (i + 1));
            thread.setDaemon(true);
            helper.thread = thread;
            thread.start();
        }
    }

    /** Lists what was written from one address to another, and protects it again if asked to. */
    void scan(long from, long to, boolean protecting, DirtyRanges into) throws LinuxException {
        if (helpers.length == 0 || to - from <= pieceBytes) {
            caller.scan(from, to, protecting, into);
            return;
        }
        start = from;
        end = to;
        protect = protecting;
        pieces = (int) ((to - from + pieceBytes - 1) / pieceBytes);
        done.set(0);
        waiting = Thread.currentThread();
        // Publishes all of the above.
        ticket.set(((ticket.get() >>> ROUND_SHIFT) + 1) << ROUND_SHIFT);
        for (Member helper : helpers) {
            LockSupport.unpark(helper.thread);
        }
        takePieces(protecting, into);
        await();
        handOn(protecting, into);
    }

    /** The caller's share: it goes on when its part of the vector is full, so that no piece is left over. */
    private void takePieces(boolean protecting, DirtyRanges into) {
        work(caller);
        while (caller.full()) {
            caller.move(into);
            caller.failure = takeRest(caller, protecting, into);
            if (caller.failure != null) {
                withdraw();
                return;
            }
            work(caller);
        }
    }

    /** Nobody begins another piece. */
    private void withdraw() {
        long last;
        do {
            last = ticket.get();
        } while ((int) last < pieces && !ticket.compareAndSet(last, last - (int) last + pieces));
        done.addAndGet(Math.max(0, pieces - (int) last));
    }

    private void await() {
        for (int i = 0; done.get() < pieces; i++) {
            if (i < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(this, WAIT_NS);
            }
        }
    }

    /** First all that was found, then what had no room, then what went wrong. */
    private void handOn(boolean protecting, DirtyRanges into) throws LinuxException {
        caller.move(into);
        for (Member helper : helpers) {
            helper.move(into);
        }
        LinuxException failure = takeRest(caller, protecting, into);
        for (Member helper : helpers) {
            LinuxException another = takeRest(helper, protecting, into);
            failure = failure == null ? another : failure;
        }
        if (failure != null) {
            throw failure;
        }
    }

    private @Nullable LinuxException takeRest(Member member, boolean protecting, DirtyRanges into) {
        LinuxException failure = member.failure;
        member.failure = null;
        long at = member.restStart;
        member.restStart = 0;
        try {
            if (at != 0) {
                caller.scan(at, member.restEnd, protecting, into);
            }
        } catch (LinuxException e) {
            return failure == null ? e : failure;
        }
        return failure;
    }

    private void help(Member helper) {
        while (open) {
            helper.rounds.mark(clock.nanoTime());
            if (!work(helper)) {
                helper.rounds.rest(clock.nanoTime());
                LockSupport.park(this);
            }
        }
        helper.rounds.rest(clock.nanoTime());
        helper.scan.close();
    }

    /** Takes pieces while there are any, and room for what is found. */
    private boolean work(Member member) {
        boolean worked = false;
        while (!member.full()) {
            long mine = ticket.get();
            int piece = (int) mine;
            if (mine == 0 || piece >= pieces) {
                break;
            }
            // Whoever succeeds has read the fields of this round: the next one begins only when this piece is done.
            if (ticket.compareAndSet(mine, mine + 1)) {
                long from = start + piece * pieceBytes;
                member.list(from, Math.min(end, from + pieceBytes), protect);
                worked = true;
                Thread last = waiting;
                if (done.incrementAndGet() == pieces && last != null && member != caller) {
                    LockSupport.unpark(last);
                }
            }
        }
        return worked;
    }

    /** How regularly the helpers come round: {@code scan-1}, ...: what one takes of a scan. Any thread. */
    Map<String, DutyCycle> rounds() {
        Map<String, DutyCycle> rounds = new LinkedHashMap<>();
        for (int i = 0; i < helpers.length; i++) {
            rounds.put("scan-" + (i + 1), helpers[i].rounds);
        }
        return rounds;
    }

    /** Ends the helpers; the caller's thread, between two scans. */
    @Override
    public void close() {
        open = false;
        caller.scan.close();
        for (Member helper : helpers) {
            LockSupport.unpark(helper.thread);
        }
    }

    private void closeScans() {
        caller.scan.close();
        for (Member helper : helpers) {
            if (helper != null) {
                helper.scan.close();
            }
        }
    }

    /** One thread's descriptor, its part of the vector, and what it has found in this round. */
    private static final class Member {
        final DutyCycle rounds = DutyCycle.idle();
        final PagemapScan scan;
        final ScanVector part;

        @Nullable
        Thread thread;

        int found;
        long restStart;
        long restEnd;

        @Nullable
        LinuxException failure;

        Member(long pid, ScanVector part) throws LinuxException {
            this.scan = new PagemapScan(pid);
            this.part = part;
        }

        boolean full() {
            return restStart != 0 || failure != null || found == part.entryCount();
        }

        /** Appends what is found to what was found before in this round. */
        void list(long from, long to, boolean protect) {
            try {
                int room = part.entryCount() - found;
                // SAFETY: room entries from there on lie within the part, which lives at least as long as this object.
                found += scan.written(from, to, protect, part.address() + (long) found * PagemapScan.ENTRY_BYTES, room);
                if (scan.walkEnd() < to) {
                    restStart = scan.walkEnd();
                    restEnd = to;
                }
            } catch (LinuxException e) {
                failure = e;
            }
        }

        void move(DirtyRanges into) {
            part.moveTo(into, found);
            found = 0;
        }

        /** All of it on this thread; the part is empty before and afterwards. */
        void scan(long from, long to, boolean protect, DirtyRanges into) throws LinuxException {
            for (long at = from; at < to; at = scan.walkEnd()) {
                // SAFETY: as above.
                found = scan.written(at, to, protect, part.address(), part.entryCount());
                move(into);
                if (scan.walkEnd() <= at) {
                    throw new LinuxException(
                            "PAGEMAP_SCAN 0x" + Long.toHexString(at) + "..0x" + Long.toHexString(to)
                                    + " ends where it began",
                            Errno.EINVAL);
                }
            }
        }
    }
}
