package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class ReplicaDisksTest {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int PAGES = 300;
    private static final int BYTES = (PAGES - 1) * PAGE_BYTES + 512;
    private static final int DISKS = 2;

    @TempDir
    Path directory;

    private final ByteBuffer page = ByteBuffer.allocateDirect(PAGE_BYTES);
    private final byte[][] model = new byte[DISKS][BYTES];

    private ReplicaDisks images() throws Exception {
        int uid = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        int gid = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:gid");
        ReplicatedDisk disk = new ReplicatedDisk("d", "d.raw", "raw", BYTES);
        return ReplicaDisks.create(directory, 1, List.of(disk, disk), uid, gid);
    }

    private static int bytes(int number) {
        return Math.min(PAGE_BYTES, BYTES - number * PAGE_BYTES);
    }

    /** Runs of pages and of holes, pages twice in an epoch, and pages of which only a part was written: read, changed and written. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void shouldHoldWhatWasWrittenLastAfterEveryEpoch(long seed) throws Exception {
        Random random = new Random(seed);
        try (ReplicaDisks images = images()) {
            for (int epoch = 0; epoch < 60; epoch++) {
                for (int run = random.nextInt(5); run >= 0; run--) {
                    int disk = random.nextInt(DISKS);
                    int number = random.nextInt(PAGES);
                    boolean hole = random.nextInt(3) == 0;
                    for (int left = random.nextInt(200); left > 0 && number < PAGES; left--) {
                        boolean other = random.nextInt(20) == 0;
                        step(images, random, disk, number, other != hole);
                        number += other ? random.nextInt(3) : 1;
                    }
                }
                images.flush();
                for (int disk = 0; disk < DISKS; disk++) {
                    assertThat(Files.readAllBytes(images.paths().get(disk))).isEqualTo(model[disk]);
                }
            }
        }
    }

    private void step(ReplicaDisks images, Random random, int disk, int number, boolean hole) throws Exception {
        if (hole) {
            images.zero(disk, number);
            Arrays.fill(model[disk], number * PAGE_BYTES, number * PAGE_BYTES + bytes(number), (byte) 0);
            return;
        }
        if (random.nextInt(4) == 0) {
            images.read(disk, number, page.clear());
            byte[] found = new byte[bytes(number)];
            page.get(0, found);
            assertThat(found)
                    .isEqualTo(
                            Arrays.copyOfRange(model[disk], number * PAGE_BYTES, number * PAGE_BYTES + found.length));
        }
        page.putLong(8 * random.nextInt(64), random.nextLong());
        images.write(disk, number, page.clear());
        page.get(0, model[disk], number * PAGE_BYTES, bytes(number));
    }

    /** As long as a first copy's run of zeros may be, whatever a run of content has room for. */
    @Test
    void shouldMakeAHoleOfALongRun() throws Exception {
        try (ReplicaDisks images = images();
                FileRange file = FileRange.open(images.paths().get(0), false)) {
            for (int number = 0; number < PAGES; number++) {
                images.write(0, number, page.clear());
            }
            images.flush();
            assertThat(file.nextHole(0)).isEqualTo(BYTES);
            for (int number = 0; number < PAGES; number++) {
                images.zero(0, number);
            }
            images.flush();
            assertThat(file.nextData(0)).isEqualTo(BYTES);
            assertThat(file.lengthBytes()).isEqualTo(BYTES);
        }
    }
}
