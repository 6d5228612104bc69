package io.lockstep.replication.disk;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.memory.PageBitmap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;
import org.agrona.BufferUtil;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads of the disks what the peer is not known to have, in the order of the blocks, into the log of writes; while their guest runs, and their
 * mirrors write into the same log.
 *
 * <p>Invariants: Of a disk, all blocks to copy before {@link #position} are in the log. Holes and zeros cost nothing where the peer's image has
 * nothing.
 *
 * <p>A thread of its own; the other methods are for any.
 */
final class DiskCopy implements Runnable, AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(DiskCopy.class);
    private static final int BLOCK_BYTES = BitmapTrail.GRANULARITY;
    private static final int PAGE_BYTES = DiskLog.COPY_PAGE_BYTES;
    private static final int READ_BYTES = DiskLog.COPY_BYTES_MAX;
    private static final long JOIN_MS = 5_000;
    /** Of an extent: start, end, whether it is zero. */
    private static final int EXTENT_LONGS = 3;

    /** What the peer's images hold. */
    enum Known {
        /** Nothing: they were just made. */
        EMPTY,
        /** What the ledger and the bitmaps say. */
        LEDGER,
        /** Something. */
        NOTHING
    }

    private final List<GuestDisk> disks;
    private final Path socket;
    private final CopyLedger ledger;
    private final DiskLog log;
    private final Known known;
    private final LongAdder readBytes;
    private final DutyCycle rounds;
    private final AtomicLongArray positions;
    private final AtomicLongArray done;
    private final AtomicLongArray total;
    private final AtomicLongArray tookNs;
    private final ByteBuffer buffer = BufferUtil.allocateDirectAligned(READ_BYTES, PAGE_BYTES);
    private final ByteBuffer zeros = ByteBuffer.allocateDirect(PAGE_BYTES);
    private final long[] zeroPages = new long[READ_BYTES / PAGE_BYTES / Long.SIZE];
    private final Thread thread;
    private long[] extents = new long[EXTENT_LONGS << 10];
    private int extentCount;
    private volatile @Nullable NbdClient client;
    private volatile boolean closed;
    private volatile boolean complete;
    private volatile @Nullable String failure;

    /**
     * @param readBytes counts what was read of the disks, over all copies
     * @param rounds of these threads: one question to QEMU, or one piece read; a wait for room in the log is none
     */
    DiskCopy(
            List<GuestDisk> disks,
            Path socket,
            CopyLedger ledger,
            DiskLog log,
            Known known,
            LongAdder readBytes,
            DutyCycle rounds) {
        this.rounds = rounds;
        this.disks = disks;
        this.socket = socket;
        this.ledger = ledger;
        this.log = log;
        this.known = known;
        this.readBytes = readBytes;
        positions = new AtomicLongArray(disks.size());
        done = new AtomicLongArray(disks.size());
        total = new AtomicLongArray(disks.size());
        tookNs = new AtomicLongArray(disks.size());
        thread = new Thread(this, "disk-copy");
        thread.setDaemon(true);
    }

    void start() {
        thread.start();
    }

    /** Whether all is in the log. */
    boolean complete() {
        return complete;
    }

    /** Why it ended before; null if it did not. */
    @Nullable
    String failure() {
        return failure;
    }

    /** Up to where a disk is copied, bytes. */
    long position(int disk) {
        return positions.get(disk);
    }

    /** Data copied of a disk, bytes. */
    long doneBytes(int disk) {
        return done.get(disk);
    }

    /** Data to copy of a disk, as far as is known, bytes. */
    long totalBytes(int disk) {
        return total.get(disk);
    }

    /** How long a disk took, or takes; 0 before it. */
    long tookNs(int disk) {
        return tookNs.get(disk);
    }

    @Override
    public void run() {
        try {
            PageBitmap[] wanted = new PageBitmap[disks.size()];
            PageBitmap[] held = new PageBitmap[disks.size()];
            for (int disk = 0; disk < disks.size() && !closed; disk++) {
                try (NbdClient opened = open(disk)) {
                    wanted[disk] = new PageBitmap(bits(disk));
                    held[disk] = new PageBitmap(bits(disk));
                    plan(opened, disk, wanted[disk], held[disk]);
                    measure(opened, disk, wanted[disk], held[disk]);
                }
            }
            for (int disk = 0; disk < disks.size() && !closed; disk++) {
                try (NbdClient opened = open(disk)) {
                    copy(opened, disk, wanted[disk], held[disk]);
                }
            }
            complete = !closed;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException | RuntimeException e) {
            if (!closed) {
                LOG.warn("copying the disks ended: {}", e.toString());
                failure = String.valueOf(e.getMessage());
            }
        } finally {
            rounds.rest(System.nanoTime());
        }
    }

    private NbdClient open(int disk) throws IOException {
        rounds.mark(System.nanoTime());
        NbdClient opened = new NbdClient(socket, DiskExports.name(disk), "qemu:dirty-bitmap:" + BitmapTrail.todo());
        client = opened;
        if (closed) {
            opened.close();
        }
        return opened;
    }

    private int bits(int disk) {
        long blocks = (length(disk) + BLOCK_BYTES - 1) / BLOCK_BYTES;
        return (int) (blocks + 63) & ~63;
    }

    private long length(int disk) {
        return disks.get(disk).disk().lengthBytes();
    }

    /** Which blocks are to be copied, and of which the peer's image may hold something. */
    private void plan(NbdClient from, int disk, PageBitmap wanted, PageBitmap held) throws IOException {
        int end = (int) ((length(disk) + BLOCK_BYTES - 1) / BLOCK_BYTES);
        if (known != Known.LEDGER) {
            wanted.set(0, end);
            held.set(0, known == Known.EMPTY ? 0 : end);
            return;
        }
        wanted.set((int) (ledger.copied(disk) / BLOCK_BYTES), end);
        held.set(0, (int) ((ledger.reach(disk) + BLOCK_BYTES - 1) / BLOCK_BYTES));
        for (long at = 0; at < length(disk); ) {
            rounds.mark(System.nanoTime());
            at = from.status(at, length(disk) - at, false, (offset, length, flags) -> {
                if ((flags & 1) != 0) {
                    int first = (int) (offset / BLOCK_BYTES);
                    int last = (int) ((offset + length + BLOCK_BYTES - 1) / BLOCK_BYTES);
                    wanted.set(first, last);
                    held.set(first, last);
                }
            });
        }
    }

    /** Counts what there is to read. */
    private void measure(NbdClient from, int disk, PageBitmap wanted, PageBitmap held) throws IOException {
        long sum = 0;
        for (int block = wanted.nextSet(0); block < wanted.limit() && !closed; ) {
            int runEnd = wanted.nextClear(block);
            long end = Math.min((long) runEnd * BLOCK_BYTES, length(disk));
            for (long at = (long) block * BLOCK_BYTES; at < end; ) {
                at = describe(from, at, end);
                for (int i = 0; i < extentCount; i += EXTENT_LONGS) {
                    for (long piece = extents[i]; piece < extents[i + 1]; ) {
                        long pieceEnd = pieceEnd(piece, extents[i + 1]);
                        sum += extents[i + 2] == 0 || holds(held, piece, pieceEnd) ? pieceEnd - piece : 0;
                        piece = pieceEnd;
                    }
                }
                total.set(disk, sum);
            }
            block = wanted.nextSet(runEnd);
        }
    }

    private void copy(NbdClient from, int disk, PageBitmap wanted, PageBitmap held)
            throws IOException, InterruptedException {
        long beganNs = System.nanoTime();
        for (int block = wanted.nextSet(0); block < wanted.limit(); ) {
            int runEnd = wanted.nextClear(block);
            long end = Math.min((long) runEnd * BLOCK_BYTES, length(disk));
            for (long at = (long) block * BLOCK_BYTES; at < end; ) {
                at = describe(from, at, end);
                for (int i = 0; i < extentCount; i += EXTENT_LONGS) {
                    if (!copyExtent(from, disk, held, i)) {
                        return;
                    }
                    tookNs.set(disk, System.nanoTime() - beganNs);
                }
            }
            positions.set(disk, end);
            block = wanted.nextSet(runEnd);
        }
        positions.set(disk, length(disk));
        tookNs.set(disk, System.nanoTime() - beganNs);
    }

    private boolean copyExtent(NbdClient from, int disk, PageBitmap held, int extent)
            throws IOException, InterruptedException {
        long end = extents[extent + 1];
        for (long at = extents[extent]; at < end; ) {
            long pieceEnd = pieceEnd(at, end);
            if (extents[extent + 2] == 0 || holds(held, at, pieceEnd)) {
                if (closed || !copyPiece(from, disk, at, (int) (pieceEnd - at))) {
                    return false;
                }
                done.addAndGet(disk, pieceEnd - at);
            }
            at = pieceEnd;
            positions.set(disk, at);
        }
        return true;
    }

    private boolean copyPiece(NbdClient from, int disk, long at, int bytes) throws IOException, InterruptedException {
        ledger.reach(disk, at + bytes);
        log.beginCopy(disk, at, bytes);
        buffer.clear().limit(bytes);
        from.read(at, buffer);
        buffer.flip();
        readBytes.add(bytes);
        Arrays.fill(zeroPages, 0);
        for (int page = 0; page * PAGE_BYTES < bytes; page++) {
            int length = Math.min(PAGE_BYTES, bytes - page * PAGE_BYTES);
            if (buffer.slice(page * PAGE_BYTES, length).equals(zeros.slice(0, length))) {
                zeroPages[page / Long.SIZE] |= 1L << page;
            }
        }
        rounds.rest(System.nanoTime());
        boolean taken = log.endCopy(buffer, zeroPages);
        rounds.mark(System.nanoTime());
        return taken;
    }

    private static long pieceEnd(long at, long end) {
        return Math.min(end, (at / READ_BYTES + 1) * READ_BYTES);
    }

    /** Whether the peer's image may hold something of a range. */
    private static boolean holds(PageBitmap held, long at, long end) {
        return (long) held.nextSet((int) (at / BLOCK_BYTES)) * BLOCK_BYTES < end;
    }

    /** Fills {@code extents} for a part of a range, and returns where that ends: start, end, and 1 for zeros. */
    private long describe(NbdClient from, long at, long end) throws IOException {
        rounds.mark(System.nanoTime());
        extentCount = 0;
        return from.status(at, end - at, true, (offset, length, flags) -> {
            if (extentCount + EXTENT_LONGS > extents.length) {
                extents = Arrays.copyOf(extents, 2 * extents.length);
            }
            extents[extentCount] = offset;
            extents[extentCount + 1] = offset + length;
            extents[extentCount + 2] = (flags & NbdProtocol.STATE_ZERO) != 0 ? 1 : 0;
            extentCount += EXTENT_LONGS;
        });
    }

    /** Whether its thread has ended. */
    boolean ended() {
        return !thread.isAlive();
    }

    /** Ends it, within seconds. */
    @Override
    public void close() {
        closed = true;
        try {
            NbdClient open = client;
            if (open != null) {
                open.close();
            }
            thread.interrupt();
            thread.join(JOIN_MS);
        } catch (IOException e) {
            LOG.debug("closing: {}", e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
