package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.FileRange;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("kernel")
class FileExportTest {
    private static final int BYTES = 4 << 20;

    @TempDir
    Path directory;

    @Test
    void shouldHoldWhatWasWritten() throws Exception {
        byte[] content = new byte[100_000];
        new Random(3).nextBytes(content);
        try (FileExport export = new FileExport("disk0", image(directory), false)) {
            assertThat(export.sizeBytes()).isEqualTo(BYTES);
            export.write(4097, direct(content), true);
            export.flush();
            ByteBuffer read = ByteBuffer.allocateDirect(content.length + 7).position(7);
            export.read(4097, read);
            assertThat(read.flip().position(7)).isEqualTo(ByteBuffer.wrap(content));
        }
    }

    @Test
    void shouldMakeHolesWhereSpaceMayGo() throws Exception {
        Path image = fullImage(directory);
        try (FileExport export = new FileExport("disk0", image, false);
                FileRange file = FileRange.open(image, false)) {
            export.writeZeroes(1 << 20, 1 << 20, true, true);
            assertThat(file.nextHole(0)).isEqualTo(1 << 20);
            assertThat(file.nextData(1 << 20)).isEqualTo(2 << 20);
            export.trim(3 << 20, 1 << 20, true);
            assertThat(file.nextHole(2 << 20)).isEqualTo(3 << 20);
            assertThat(export.zeroesFast()).isTrue();
            assertZeros(image, 1 << 20, 1 << 20);
            assertZeros(image, 3 << 20, 1 << 20);
        }
    }

    @Test
    void shouldKeepSpaceWhereItMustNotGo() throws Exception {
        // A disk's file system has a call for it; tmpfs has not, and gets zeros written.
        for (Path place : new Path[] {directory, Files.createTempDirectory(Path.of("/dev/shm"), "lockstep-test")}) {
            Path image = fullImage(place);
            try (FileExport export = new FileExport("disk0", image, false);
                    FileRange file = FileRange.open(image, false)) {
                export.writeZeroes(4096 + 5, 2 << 20, false, true);
                assertZeros(image, 4096 + 5, 2 << 20);
                if (!place.equals(directory)) {
                    assertThat(file.nextHole(0)).isEqualTo(BYTES);
                }
                byte[] content = Files.readAllBytes(image);
                assertThat(content[4096 + 4]).isEqualTo((byte) 0x5a);
                assertThat(content[4096 + 5 + (2 << 20)]).isEqualTo((byte) 0x5a);
            } finally {
                Files.delete(image);
                if (!place.equals(directory)) {
                    Files.delete(place);
                }
            }
        }
    }

    @Test
    void shouldFailWhenTheFileIsShorterThanItWas() throws Exception {
        Path image = image(directory);
        try (FileExport export = new FileExport("disk0", image, false);
                NbdServer server = new NbdServer(directory.resolve("s"), export, null, 1);
                NbdTestClient client = NbdTestClient.connected(server.socket(), true)) {
            try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
                file.setLength(4096);
            }
            client.request(0, 0, 1, 0, 8192);
            assertThat(client.chunk()).isEqualTo("1: done error 5 the export left 4096 bytes unread at 0");
        }
    }

    @Test
    void shouldSayNoSpaceWhenTheDeviceIsFull() throws Exception {
        try (FileExport export = new FileExport("disk0", Path.of("/dev/full"), false)) {
            assertThatThrownBy(() -> export.write(0, direct(new byte[512]), false))
                    .isInstanceOf(NbdException.class)
                    .hasMessage("pwrite(/dev/full, 512 bytes at 0): ENOSPC (28)")
                    .extracting(thrown -> ((NbdException) thrown).errno())
                    .isEqualTo(NbdException.ENOSPC);
        }
    }

    @Test
    void shouldNameTheFileWhenItIsMissing() {
        Path image = directory.resolve("missing");
        assertThatThrownBy(() -> new FileExport("disk0", image, true).close())
                .isInstanceOf(IOException.class)
                .hasMessageContaining(image.toString())
                .hasMessageContaining("ENOENT (2)");
    }

    private static void assertZeros(Path image, int offset, int length) throws IOException {
        assertThat(ByteBuffer.wrap(Files.readAllBytes(image), offset, length)).isEqualTo(ByteBuffer.allocate(length));
    }

    private static ByteBuffer direct(byte[] content) {
        return ByteBuffer.allocateDirect(content.length).put(content).flip();
    }

    private static Path image(Path place) throws IOException {
        Path image = place.resolve("disk.img");
        FileRange.create(image, BYTES).close();
        return image;
    }

    private static Path fullImage(Path place) throws IOException {
        byte[] content = new byte[BYTES];
        java.util.Arrays.fill(content, (byte) 0x5a);
        return Files.write(place.resolve("disk.img"), content);
    }
}
