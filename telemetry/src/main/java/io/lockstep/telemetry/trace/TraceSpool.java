package io.lockstep.telemetry.trace;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.ReadableFile;
import io.lockstep.linux.SharedMapping;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Pages of the kernel's rings as they were read, on a tmpfs. A ring hands each event out once; here it outlives the reader, who may be killed before
 * what the event did is kept. The kernel reads right into the file: there is no instruction between the two at which a kill takes a page along.
 *
 * <pre>
 * 0     u64 magic "LSTS0001"      8   identity of the kernel's life, 56 bytes, ended by 0
 * 4096  two segments of {@link #SEGMENT_BYTES}, filled in turn; in each, on 8 bytes: u64 number of the page, from 1, xor {@link #MARK}, then its header and
 *       data, and 8 bytes more, where the kernel may say how many events were lost
 * </pre>
 *
 * <p>Little-endian. A segment ends where a number does not follow the one before. A page without data was never read. For one thread.
 */
final class TraceSpool implements AutoCloseable {
    /** A storm of 5 MB/s fills one in 0.4 s; what calls for keeping is kept every 0.2 s. */
    static final int SEGMENT_BYTES = 2 << 20;

    /** Header and data of a ring's page; a kernel with other sub-buffers says so in events/header_page. */
    static final int PAGE_BYTES = 4096;

    private static final int SEGMENTS = 2;
    private static final int HEAD_BYTES = 4096;
    private static final int BOOT = 8;
    private static final int BOOT_BYTES = 56;
    private static final long MAGIC = 0x3130_3030_5354_534cL;

    /** No event has such a number in its fields, which are what stands where a segment ends. */
    private static final long MARK = 0x9d1f_4c53_5350_6f6cL;

    private static final int BYTES = HEAD_BYTES + SEGMENTS * SEGMENT_BYTES;

    private final long address;
    private final ByteBuffer memory;
    private final Closing closing;
    private int segment;

    /** The number of the segment's first page, the place of the next one, and the number of the newest. */
    private long first = 1;

    private int at = HEAD_BYTES;
    private long last;

    /** Ends the memory; what it holds stays in its file, if it has one. */
    private interface Closing {
        void close(boolean remove) throws IOException;
    }

    private TraceSpool(long address, ByteBuffer memory, Closing closing) {
        this.address = address;
        this.memory = memory.order(ByteOrder.LITTLE_ENDIAN);
        this.closing = closing;
    }

    /** One of this process alone: what its reader did not keep is gone with it. */
    static TraceSpool inMemory() {
        NativeBlock block = new NativeBlock(BYTES);
        return new TraceSpool(block.address(), block.buffer(), remove -> {});
    }

    /**
     * Opens it, with what an earlier reader of the same life of the kernel left in it.
     *
     * @param file on a tmpfs, nobody else's; made if it is not there
     * @param boot identity of this life of the kernel; of another or of an empty one, nothing is taken up
     */
    static TraceSpool open(Path file, String boot) throws LinuxException {
        SharedMapping mapping = SharedMapping.create(file, BYTES, true);
        TraceSpool spool = new TraceSpool(mapping.address(), mapping.buffer(), remove -> {
            mapping.close();
            if (remove) {
                Files.deleteIfExists(file);
            }
        });
        byte[] identity = Arrays.copyOf(boot.getBytes(StandardCharsets.US_ASCII), BOOT_BYTES);
        byte[] found = new byte[BOOT_BYTES];
        spool.memory.get(BOOT, found);
        if (boot.isEmpty() || spool.memory.getLong(0) != MAGIC || !Arrays.equals(found, identity)) {
            spool.begin(identity);
        } else {
            spool.goToEnd();
        }
        return spool;
    }

    private void begin(byte[] identity) {
        memory.putLong(0, 0);
        memory.put(HEAD_BYTES, new byte[SEGMENTS * SEGMENT_BYTES]);
        memory.put(BOOT, identity);
        memory.putLong(0, MAGIC);
    }

    private void goToEnd() {
        segment = number(base(1)) > number(base(0)) ? 1 : 0;
        first = Math.max(1, number(base(segment)));
        last = first - 1;
        at = walk(segment, page -> last = page.number);
    }

    private static int base(int segment) {
        return HEAD_BYTES + segment * SEGMENT_BYTES;
    }

    /** Whether a page that begins at this place might lead out of the segment. */
    private static boolean ends(int segment, int place) {
        return place > base(segment) + SEGMENT_BYTES - Long.BYTES - PAGE_BYTES;
    }

    /** The number at a place; 0 if there never was one. */
    private long number(int place) {
        long stored = memory.getLong(place);
        return stored == 0 ? 0 : stored ^ MARK;
    }

    private ByteBuffer page(int place) {
        return memory.slice(place + Long.BYTES, PAGE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int behind(int place, ByteBuffer page) {
        int bytes = RingPage.dataBytes(page) + RingPage.DATA + Long.BYTES;
        return place + Long.BYTES + Math.min(PAGE_BYTES, (bytes + Long.BYTES - 1) & -Long.BYTES);
    }

    /** Hands on a segment's pages; the place behind them. */
    private int walk(int which, Consumer<Page> sink) {
        int place = base(which);
        for (long expected = number(place); expected > 0 && !ends(which, place); expected++) {
            if (number(place) != expected) {
                break;
            }
            ByteBuffer page = page(place);
            sink.accept(new Page(expected, page));
            place = behind(place, page);
        }
        return place;
    }

    /** A page that was read. */
    private record Page(long number, ByteBuffer memory) {}

    /** Reads the ring's next page; null if it has none now. What is in it is valid until the spool is filled anew. */
    @Nullable
    ByteBuffer read(ReadableFile ring) throws LinuxException {
        if (ends(segment, at)) {
            segment = (segment + 1) % SEGMENTS;
            first = last + 1;
            at = base(segment);
        }
        ByteBuffer page = page(at);
        page.putLong(0, 0);
        page.putLong(Long.BYTES, 0);
        memory.putLong(at, (last + 1) ^ MARK);
        if (ring.read(address + at + Long.BYTES) <= 0) {
            return null;
        }
        last++;
        at = behind(at, page);
        return page;
    }

    /** Numbers the pages from now on behind one up to which an earlier spool, which is gone, was handed on. */
    void continueBehind(long number) {
        if (last < number) {
            last = number;
            segment = (segment + 1) % SEGMENTS;
            first = last + 1;
            at = base(segment);
        }
    }

    /** Hands on the pages behind a number that are still there, oldest first. */
    void after(long number, Consumer<ByteBuffer> sink) {
        for (int i = 1; i <= SEGMENTS; i++) {
            walk((segment + i) % SEGMENTS, page -> {
                if (page.number > number) {
                    sink.accept(page.memory);
                }
            });
        }
    }

    /** The number of the newest page; 0 if there was none. */
    long last() {
        return last;
    }

    /** Whether pages of the older segment, which is the next to be overwritten, are not kept. */
    boolean pressing(long kept) {
        return kept < first - 1;
    }

    /** Ends it, and its file. */
    void remove() throws IOException {
        closing.close(true);
    }

    @Override
    public void close() throws IOException {
        closing.close(false);
    }
}
