package io.lockstep.telemetry.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.ReadableFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceSpoolTest {
    private static final String BOOT = "3ae1a0ad-0f0e-4a45-b4c2-70de25d2b6e7";
    private static final int DATA_MAX = TraceSpool.PAGE_BYTES - RingPage.DATA;

    @TempDir
    Path directory;

    private long pages;

    /** As the kernel gives it: nothing but zeros behind its data. Its time is its number. */
    private Path page(int dataBytes) throws IOException {
        ByteBuffer page = ByteBuffer.allocate(TraceSpool.PAGE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        page.putLong(0, ++pages).putLong(8, dataBytes);
        for (int at = RingPage.DATA; at < RingPage.DATA + dataBytes; at++) {
            page.put(at, (byte) pages);
        }
        return Files.write(directory.resolve("ring"), page.array());
    }

    private void add(TraceSpool spool, int dataBytes) throws IOException {
        try (ReadableFile ring = new ReadableFile(page(dataBytes), TraceSpool.PAGE_BYTES)) {
            ByteBuffer read = spool.read(ring);
            assertThat(read).isNotNull();
            assertThat(read.getLong(0)).isEqualTo(pages);
        }
    }

    private TraceSpool open() throws LinuxException {
        return TraceSpool.open(directory.resolve("spool"), BOOT);
    }

    private static List<Long> after(TraceSpool spool, long number) {
        List<Long> found = new ArrayList<>();
        spool.after(number, page -> {
            found.add(page.getLong(0));
            int end = RingPage.DATA + RingPage.dataBytes(page);
            for (int at = RingPage.DATA; at < end; at++) {
                assertThat(page.get(at)).isEqualTo((byte) page.getLong(0));
            }
        });
        return found;
    }

    @Test
    void shouldHaveEveryPageThatIsNotKeptHoweverOftenItsReaderIsKilled() throws IOException {
        SplittableRandom random = new SplittableRandom(4);
        long kept = 0;
        TraceSpool spool = open();
        for (int round = 0; round < 400; round++) {
            for (int i = random.nextInt(60); i > 0; i--) {
                if (spool.pressing(kept)) {
                    kept = spool.last();
                }
                add(spool, random.nextInt(4) == 0 ? DATA_MAX : random.nextInt(DATA_MAX));
            }
            if (random.nextInt(3) == 0) {
                kept = spool.last();
            }
            // As a kill: it only ends the mapping.
            spool.close();
            spool = open();
            assertThat(spool.last()).isEqualTo(pages);
            List<Long> expected = new ArrayList<>();
            for (long number = kept + 1; number <= pages; number++) {
                expected.add(number);
            }
            assertThat(after(spool, kept)).as("round %s", round).isEqualTo(expected);
        }
        assertThat(pages * TraceSpool.PAGE_BYTES).isGreaterThan(4L * TraceSpool.SEGMENT_BYTES);
    }

    @Test
    void shouldGoOnBehindAPageThatWasNeverRead() throws IOException {
        TraceSpool spool = open();
        add(spool, 100);
        Files.write(directory.resolve("empty"), new byte[0]);
        try (ReadableFile empty = new ReadableFile(directory.resolve("empty"), TraceSpool.PAGE_BYTES)) {
            assertThat(spool.read(empty)).isNull();
            assertThat(spool.last()).isEqualTo(1);
        }
        TraceSpool next = open();
        assertThat(next.last()).isEqualTo(2);
        assertThat(after(next, 1)).containsExactly(0L);
        pages++;
        add(next, 8);
        assertThat(after(open(), 2)).containsExactly(3L);
    }

    /** Its file was removed in the midst of the kernel's life: what the accounts say was handed on is not this one's. */
    @Test
    void shouldNumberItsPagesBehindThoseOfASpoolThatIsGone() throws IOException {
        TraceSpool spool = open();
        spool.continueBehind(5000);
        pages = 5000;
        add(spool, 100);
        assertThat(spool.last()).isEqualTo(5001);
        TraceSpool next = open();
        next.continueBehind(5000);
        add(next, 100);
        assertThat(after(open(), 5000)).containsExactly(5001L, 5002L);
        assertThat(next.pressing(5000)).isFalse();
    }

    @Test
    void shouldHoldNothingOfAnotherLifeOfTheKernel() throws IOException {
        add(open(), 100);
        assertThat(after(TraceSpool.open(directory.resolve("spool"), "another"), 0))
                .isEmpty();
        assertThat(after(open(), 0)).isEmpty();
    }

    @Test
    void shouldHoldNothingWhenTheLifeOfTheKernelIsNotKnown() throws IOException {
        add(TraceSpool.open(directory.resolve("spool"), ""), 100);
        assertThat(after(TraceSpool.open(directory.resolve("spool"), ""), 0)).isEmpty();
    }

    @Test
    void shouldTakeNoHarmFromADamagedFile() throws IOException {
        SplittableRandom random = new SplittableRandom(5);
        for (int round = 0; round < 200; round++) {
            TraceSpool spool = open();
            add(spool, 2000);
            spool.close();
            byte[] bytes = Files.readAllBytes(directory.resolve("spool"));
            for (int i = 0; i < 20; i++) {
                bytes[4096 + random.nextInt(8192)] = (byte) random.nextInt();
            }
            Files.write(directory.resolve("spool"), bytes);
            TraceSpool next = open();
            List<ByteBuffer> found = new ArrayList<>();
            next.after(0, found::add);
            pages = next.last();
            add(next, 100);
            next.close();
        }
    }
}
