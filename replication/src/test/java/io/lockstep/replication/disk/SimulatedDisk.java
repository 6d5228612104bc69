package io.lockstep.replication.disk;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * A guest's disk and its mirror in one thread: the real log of writes, and the pages that the stream gets of it. Every sector that the guest writes
 * bears the number of the change of its state that wrote it.
 */
public final class SimulatedDisk implements AutoCloseable {
    /** One page is not full. */
    public static final int BYTES = 12 * RamBlock.PAGE_BYTES + 3 * ReplicatedDisk.SECTOR_BYTES;

    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int SECTOR_BYTES = ReplicatedDisk.SECTOR_BYTES;
    private static final int LOG_BYTES = 1 << 19;
    private static final int SECTORS_MAX = 20;

    private final SplittableRandom random;
    private final DiskLog log;
    private final byte[] content = new byte[BYTES];
    /** As the stream has it: between two writes that were taken. */
    private final byte[] taken = new byte[BYTES];

    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BYTES);
    private final List<Page> pages = new ArrayList<>();
    private boolean fills;

    /** A page of the stream; at the disk's end it is filled up with zeros. */
    public static final class Page {
        public final int number;
        public final byte[] content;

        private Page(int number, byte[] content) {
            this.number = number;
            this.content = content;
        }
    }

    /** @param seed of where the guest writes */
    public SimulatedDisk(long seed) {
        random = new SplittableRandom(seed);
        log = new DiskLog(LOG_BYTES, () -> fills = true);
    }

    /** What a session says of it. */
    public static ReplicatedDisk described() {
        return new ReplicatedDisk("disk", "/disk.raw", "raw", BYTES);
    }

    /** The guest writes, and QEMU's mirror before it tells the guest. */
    public void write(long version) {
        int sectors = 1 + random.nextInt(SECTORS_MAX);
        int first = random.nextInt(BYTES / SECTOR_BYTES - sectors + 1);
        int offset = first * SECTOR_BYTES;
        try {
            if (random.nextInt(8) == 0) {
                Arrays.fill(content, offset, offset + sectors * SECTOR_BYTES, (byte) 0);
                log.zeroes(0, offset, (long) sectors * SECTOR_BYTES);
            } else {
                UnsafeBuffer view = new UnsafeBuffer(content);
                for (int sector = first; sector < first + sectors; sector++) {
                    view.setMemory(sector * SECTOR_BYTES, SECTOR_BYTES, (byte) random.nextInt());
                    view.putLong(sector * SECTOR_BYTES, version);
                }
                log.write(0, offset, copied(offset, sectors * SECTOR_BYTES));
            }
        } catch (NbdException e) {
            throw new IllegalStateException(e);
        }
        if (fills) {
            fills = false;
            take(log.tail());
        }
    }

    /** A session begins: the mirror copies the disk from its beginning. */
    public void begin() {
        log.begin();
        pages.clear();
        fills = false;
        Arrays.fill(taken, (byte) 0);
        try {
            for (int at = 0; at < BYTES; at += PAGE_BYTES) {
                log.write(0, at, copied(at, Math.min(PAGE_BYTES, BYTES - at)));
            }
        } catch (NbdException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A mirror that goes on as if nothing had been missed, which none may. */
    public void beginWithoutCopy() {
        log.begin();
        pages.clear();
        System.arraycopy(content, 0, taken, 0, BYTES);
    }

    /** Nobody takes any more. */
    public void end() {
        log.end();
    }

    /** Where the log ends now: in a pause, the boundary. */
    public long mark() {
        return log.tail();
    }

    /** What came before the mark belongs to the epoch under way. */
    public void take(long mark) {
        DiskLog.Taker taker = new DiskLog.Taker() {
            @Override
            public void write(int disk, long offset, long contentAddress, int length) {
                UnsafeBuffer written = new UnsafeBuffer(contentAddress, length);
                written.getBytes(0, taken, (int) offset, length);
                changed((int) offset, length);
            }

            @Override
            public void zeroes(int disk, long offset, long length) {
                Arrays.fill(taken, (int) offset, (int) (offset + length), (byte) 0);
                changed((int) offset, (int) length);
            }
        };
        try {
            while (log.waits(mark)) {
                log.take(mark, PAGE_BYTES, taker);
            }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private void changed(int offset, int length) {
        for (int page = offset / PAGE_BYTES; page * PAGE_BYTES < offset + length; page++) {
            byte[] whole = new byte[PAGE_BYTES];
            int at = page * PAGE_BYTES;
            System.arraycopy(taken, at, whole, 0, Math.min(PAGE_BYTES, BYTES - at));
            pages.add(new Page(page, whole));
        }
    }

    private ByteBuffer copied(int offset, int length) {
        buffer.clear().put(content, offset, length).flip();
        return buffer;
    }

    /** The pages of the epoch that ends, in the order of the writes. */
    public List<Page> pages() {
        List<Page> all = List.copyOf(pages);
        pages.clear();
        return all;
    }

    /** As the guest sees it now. */
    public byte[] content() {
        return content.clone();
    }

    @Override
    public void close() {
        log.close();
    }
}
