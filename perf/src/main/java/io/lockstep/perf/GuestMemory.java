package io.lockstep.perf;

import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import org.agrona.BufferUtil;

/** Off-heap pages with content of known kinds, from a seed. */
final class GuestMemory {
    static final int PAGE_BYTES = 4096;

    private static final String[] WORDS = {
        "struct",
        "return",
        "static",
        "unsigned",
        "page",
        "table",
        "entry",
        "buffer",
        "length",
        "0x00000000",
        "kernel",
        "error",
        "value",
        "index",
        "void",
        "const"
    };

    final ByteBuffer bytes;
    final long address;
    final int pages;

    /** Pages of one direct buffer, so at most 2 GiB - 4 KiB; zero at first. */
    GuestMemory(int pages) {
        this.pages = pages;
        this.bytes = BufferUtil.allocateDirectAligned(pages * PAGE_BYTES + PAGE_BYTES, PAGE_BYTES);
        this.address = BufferUtil.address(bytes);
    }

    /** Fills runs of 64 pages (256 KiB), so that content of one kind lies together as in a guest: per cent of each kind. */
    GuestMemory mix(long seed, int zeroPercent, int compressiblePercent) {
        SplittableRandom random = new SplittableRandom(seed);
        int kind = 0;
        for (int page = 0; page < pages; page++) {
            if (page % 64 == 0) {
                int at = random.nextInt(100);
                kind = at < zeroPercent ? 0 : at < zeroPercent + compressiblePercent ? 1 : 2;
            }
            switch (kind) {
                case 0 -> {}
                case 1 -> compressible(random, page);
                default -> random(random, page);
            }
        }
        return this;
    }

    /** One page in four of text, the others of records with pointers, counters and padding. */
    void compressible(SplittableRandom random, int page) {
        if (page % 4 == 0) {
            text(random, page);
            return;
        }
        int at = page * PAGE_BYTES;
        long pointer = 0xffff_8880_0000_0000L | random.nextInt(1 << 20) << 8;
        for (int end = at + PAGE_BYTES; at < end; at += 64) {
            bytes.putLong(at, pointer);
            pointer += 64;
            bytes.putLong(at + 8, random.nextInt(100));
            bytes.putLong(at + 16, 1);
            bytes.putLong(at + 24, pointer);
            bytes.putLong(at + 32, random.nextInt());
        }
    }

    private void text(SplittableRandom random, int page) {
        int at = page * PAGE_BYTES;
        int end = at + PAGE_BYTES;
        while (at < end) {
            String word = WORDS[random.nextInt(WORDS.length)];
            for (int i = 0; i < word.length() && at < end; i++) {
                bytes.put(at++, (byte) word.charAt(i));
            }
            if (at < end) {
                bytes.put(at++, (byte) ' ');
            }
        }
    }

    /** Nothing that any encoding could save. */
    void random(SplittableRandom random, int page) {
        for (int at = page * PAGE_BYTES, end = at + PAGE_BYTES; at < end; at += 8) {
            bytes.putLong(at, random.nextLong());
        }
    }

    long page(int page) {
        // SAFETY: callers stay below pages; the buffer is kept by this object.
        return address + (long) page * PAGE_BYTES;
    }
}
