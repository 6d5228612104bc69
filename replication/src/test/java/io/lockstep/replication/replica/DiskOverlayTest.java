package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.agrona.BufferUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class DiskOverlayTest {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final int DISK_BYTES = 100 * PAGE_BYTES + 512;

    @TempDir
    Path directory;

    private final Random random = new Random(12);
    private final ByteBuffer page = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);

    private ReplicaDisks images() throws Exception {
        int uid = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        int gid = (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:gid");
        return ReplicaDisks.create(
                directory, 1, List.of(new ReplicatedDisk("d", "d.raw", "raw", DISK_BYTES)), uid, gid);
    }

    private void apply(ReplicaDisks images, int number) throws Exception {
        if (random.nextInt(4) == 0) {
            images.zero(0, number);
        } else {
            page.putLong(0, random.nextLong()).putLong(504, random.nextLong());
            images.write(0, number, page);
        }
    }

    private static byte[] read(DiskOverlay overlay, int offset, int length) throws Exception {
        ByteBuffer into = ByteBuffer.allocateDirect(length);
        overlay.read(offset, into);
        assertThat(into.hasRemaining()).isFalse();
        byte[] bytes = new byte[length];
        into.get(0, bytes);
        return bytes;
    }

    @Test
    void shouldBeAsItWasAndTakeWritesOfItsOwn() throws Exception {
        try (ReplicaDisks images = images()) {
            for (int i = 0; i < 300; i++) {
                apply(images, random.nextInt(101));
            }
            images.flush();
            byte[] model = Files.readAllBytes(images.paths().get(0));
            Path file = directory.resolve("overlay");
            try (DiskOverlay overlay = new DiskOverlay(images, 0, file, 1 << 20)) {
                assertThat(file).doesNotExist();
                images.before((disk, number) -> overlay.keep(number));
                byte[] data = new byte[3 * PAGE_BYTES];
                for (int i = 0; i < 3000; i++) {
                    apply(images, random.nextInt(101));
                    int length = 1 + random.nextInt(data.length);
                    int offset = random.nextInt(DISK_BYTES - length + 1);
                    switch (random.nextInt(8)) {
                        case 0 -> {
                            random.nextBytes(data);
                            ByteBuffer direct = ByteBuffer.allocateDirect(length)
                                    .put(data, 0, length)
                                    .flip();
                            overlay.write(offset, direct, false);
                            assertThat(direct.hasRemaining()).isFalse();
                            System.arraycopy(data, 0, model, offset, length);
                        }
                        case 1 -> {
                            overlay.writeZeroes(offset, length, true, false);
                            Arrays.fill(model, offset, offset + length, (byte) 0);
                        }
                        default ->
                            assertThat(read(overlay, offset, length))
                                    .isEqualTo(Arrays.copyOfRange(model, offset, offset + length));
                    }
                }
                assertThat(read(overlay, 0, DISK_BYTES)).isEqualTo(model);
                assertThat(overlay.failure()).isNull();
            }
        }
    }

    @Test
    void shouldFailAloneWhenItIsFull() throws Exception {
        try (ReplicaDisks images = images();
                DiskOverlay overlay = new DiskOverlay(images, 0, directory.resolve("overlay"), 2L * PAGE_BYTES)) {
            images.before((disk, number) -> overlay.keep(number));
            for (int number = 0; number < 3; number++) {
                page.putLong(0, number + 1);
                images.write(0, number, page);
            }
            assertThat(overlay.failure()).isEqualTo("the overlay of disk 0 is full: 2 pages");
            images.read(0, 2, page);
            assertThat(page.getLong(0)).isEqualTo(3);
        }
    }
}
