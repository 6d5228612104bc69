package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.RamBlock;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.BufferUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class MemorySnapshotTest {
    private static final int PAGE_BYTES = RamBlock.PAGE_BYTES;
    private static final List<RamBlock> BLOCKS = List.of(
            new RamBlock(0, "pc.ram", 2000L * PAGE_BYTES, PAGE_BYTES, true),
            new RamBlock(1, "vga.vram", 70L * PAGE_BYTES, PAGE_BYTES, false));

    @TempDir
    Path directory;

    private final Random random = new Random(11);
    private final ByteBuffer page = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);

    private void write(ReplicaFiles files, int block, int number) throws Exception {
        if (random.nextInt(4) == 0) {
            files.zero(block, number);
        } else {
            page.putLong(0, random.nextLong()).putLong(PAGE_BYTES - 8, random.nextLong());
            files.write(block, number, page);
        }
    }

    private static int owner(String what) throws Exception {
        return (Integer) Files.getAttribute(Path.of("/proc/self"), "unix:" + what);
    }

    @Test
    void shouldBeAsItWasWhileEpochsAreApplied() throws Exception {
        Path memory = Files.createDirectories(directory.resolve("memory"));
        try (ReplicaFiles files = ReplicaFiles.create(memory, BLOCKS, owner("uid"), owner("gid"))) {
            for (int i = 0; i < 3000; i++) {
                write(files, 0, random.nextInt(2000));
                write(files, 1, random.nextInt(70));
            }
            files.flush();
            byte[] ram = Files.readAllBytes(files.paths().get(0));
            byte[] vram = Files.readAllBytes(files.paths().get(1));
            try (MemorySnapshot snapshot =
                    new MemorySnapshot(files, directory.resolve("drill"), owner("uid"), owner("gid"))) {
                snapshot.begin();
                AtomicReference<Throwable> failure = new AtomicReference<>();
                // Changes come before, during and after the copying of the page that they change.
                Thread applier = new Thread(() -> {
                    try {
                        for (int i = 0; i < 40_000; i++) {
                            write(files, 0, random.nextInt(2000));
                            if (i % 100 == 0) {
                                write(files, 1, random.nextInt(70));
                                files.flush();
                            }
                        }
                    } catch (Exception e) {
                        failure.set(e);
                    }
                });
                applier.start();
                snapshot.copy(() -> false);
                applier.join();
                assertThat(failure.get()).isNull();
                assertThat(Files.readAllBytes(snapshot.paths().get(0))).isEqualTo(ram);
                assertThat(Files.readAllBytes(snapshot.paths().get(1))).isEqualTo(vram);
                assertThat(Files.readAllBytes(files.paths().get(0))).isNotEqualTo(ram);
                assertThat(snapshot.copiedBytes()).isBetween(100L * PAGE_BYTES, 2070L * PAGE_BYTES);
            }
            assertThat(directory.resolve("drill")).doesNotExist();
        }
    }

    @Test
    void shouldNotDisturbTheReplicaWhenItHasNoRoom() throws Exception {
        Path memory = Files.createDirectories(directory.resolve("memory"));
        try (ReplicaFiles files = ReplicaFiles.create(memory, BLOCKS, owner("uid"), owner("gid"))) {
            MemorySnapshot snapshot = new MemorySnapshot(files, directory.resolve("drill"), owner("uid"), owner("gid"));
            write(files, 0, 5);
            snapshot.close();
            snapshot.begin();
            // It can write nothing any more: the stream goes on all the same.
            page.putLong(0, 42);
            files.write(0, 7, page);
            files.flush();
            ByteBuffer read = BufferUtil.allocateDirectAligned(PAGE_BYTES, PAGE_BYTES);
            files.read(0, 7, read);
            assertThat(read.getLong(0)).isEqualTo(42);
        }
    }
}
