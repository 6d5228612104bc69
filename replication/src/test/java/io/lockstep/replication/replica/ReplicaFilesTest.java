package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReplicaFilesTest {
    private static final int PAGES = 300;
    private static final int PAGE_BYTES = ReplicaFiles.PAGE_BYTES;

    @TempDir
    Path directory;

    private final List<RamBlock> blocks = List.of(
            new RamBlock(0, "pc.ram", PAGES * (long) PAGE_BYTES, PAGE_BYTES, true),
            new RamBlock(1, "vga.vram", PAGES * (long) PAGE_BYTES, PAGE_BYTES, false));
    private final ByteBuffer page = ByteBuffer.allocateDirect(PAGE_BYTES);
    private final long[][] model = new long[2][PAGES];

    /** Runs of deltas with gaps, raw and zero pages among them, pages twice in an epoch: as in streams, and worse. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void shouldReadWhatWasWrittenLastWhateverWasReadAhead(long seed) throws Exception {
        Random random = new Random(seed);
        try (ReplicaFiles files = create()) {
            for (int epoch = 0; epoch < 60; epoch++) {
                for (int run = random.nextInt(4); run >= 0; run--) {
                    int block = random.nextInt(2);
                    int number = random.nextInt(PAGES);
                    for (int left = random.nextInt(200); left > 0 && number < PAGES; left--) {
                        step(files, random, block, number);
                        number += random.nextInt(8) == 0 ? random.nextInt(24) : 1;
                    }
                }
                files.flush();
                for (int block = 0; block < 2; block++) {
                    for (int number = 0; number < PAGES; number++) {
                        files.readFile(block, number, 1, page);
                        assertPage(block, number);
                    }
                }
            }
        }
    }

    private void step(ReplicaFiles files, Random random, int block, int number) throws Exception {
        switch (random.nextInt(10)) {
            case 0 -> {
                files.zero(block, number);
                model[block][number] = 0;
            }
            case 1 -> write(files, random, block, number);
            case 2 -> write(files, random, block, random.nextInt(PAGES));
            default -> {
                files.read(block, number, page.clear());
                assertPage(block, number);
                write(files, random, block, number);
            }
        }
    }

    private void write(ReplicaFiles files, Random random, int block, int number) throws Exception {
        long value = random.nextLong() | 1;
        page.clear();
        while (page.hasRemaining()) {
            page.putLong(value);
        }
        files.write(block, number, page.clear());
        model[block][number] = value;
    }

    private void assertPage(int block, int number) {
        long value = model[block][number];
        assertThat(page.getLong(0)).as("block %d page %d", block, number).isEqualTo(value);
        assertThat(page.getLong(PAGE_BYTES - 8))
                .as("block %d page %d", block, number)
                .isEqualTo(value);
    }

    @Test
    void shouldReadTheFileAgainWhenOthersMayHaveWritten() throws Exception {
        try (ReplicaFiles files = create()) {
            Random random = new Random(1);
            for (int number = 0; number < 20; number++) {
                files.read(0, number, page.clear());
                write(files, random, 0, number);
            }
            files.flush();
            byte[] other = new byte[PAGES * PAGE_BYTES];
            Arrays.fill(other, (byte) 7);
            Files.write(ReplicaFiles.path(directory, 0), other);
            files.read(0, 20, page.clear());
            assertThat(page.get(0)).isEqualTo((byte) 7);
        }
    }

    private ReplicaFiles create() throws Exception {
        Object uid = Files.getAttribute(directory, "unix:uid");
        Object gid = Files.getAttribute(directory, "unix:gid");
        return ReplicaFiles.create(directory, blocks, (Integer) uid, (Integer) gid);
    }
}
