package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.hypervisor.ProcessOwner;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The server against the clients that others wrote: libnbd's and QEMU's. */
@Tag("system")
@Timeout(120)
class NbdClientsTest {
    private static final int MIB = 1 << 20;
    private static final int BYTES = 96 * MIB + 4096;

    @TempDir
    Path directory;

    private Path image;
    private FileExport export;
    private NbdServer server;
    private String uri;

    @BeforeEach
    void listen() throws Exception {
        image = directory.resolve("disk.img");
        FileRange.create(image, BYTES).close();
        serve(false);
    }

    @AfterEach
    void close() {
        server.close();
        export.close();
    }

    @Test
    void shouldTellNbdinfoWhatItIs() throws Exception {
        assertThat(run(0, "nbdinfo", "--size", uri).strip()).isEqualTo(String.valueOf(BYTES));
        assertThat(run(0, "nbdinfo", uri))
                .contains(
                        "newstyle-fixed without TLS, using structured packets",
                        "export=\"disk0\"",
                        "is_read_only: false",
                        "can_fua: true",
                        "can_flush: true",
                        "can_trim: true",
                        "can_zero: true",
                        "can_df: true",
                        "can_multi_conn: true",
                        "can_fast_zero: true",
                        "base:allocation",
                        "block_size_preferred: 4096",
                        "block_size_maximum: 33554432");
        assertThat(run(0, "nbdinfo", "--list", "nbd+unix://?socket=" + server.socket()))
                .contains("export=\"disk0\"");
        run(1, "nbdinfo", "nbd+unix:///other?socket=" + server.socket());
    }

    @Test
    void shouldCarryADiskThereAndBackWithNbdcopy() throws Exception {
        Path source = source();
        Path back = directory.resolve("back.img");
        run(0, "nbdcopy", "--flush", source.toString(), uri);
        assertThat(Files.mismatch(source, image)).isEqualTo(-1);
        run(0, "nbdcopy", uri, back.toString());
        assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        run(0, "nbdcopy", "--no-extents", "--connections=4", "--request-size=" + 32 * MIB, uri, back.toString());
        assertThat(Files.mismatch(source, back)).isEqualTo(-1);
        try (FileRange file = FileRange.open(image, false)) {
            assertThat(file.nextHole(0)).as("the copy's holes").isLessThan(BYTES / 2);
        }
    }

    @Test
    void shouldShowNbdinfoTheHoles() throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.seek(MIB);
            file.write(new byte[2 * MIB]);
        }
        assertThat(run(0, "nbdinfo", "--map", uri).strip().lines().map(line -> line.strip()
                        .replaceAll(" +", " ")))
                .containsExactly("0 1048576 3 hole,zero", "1048576 2097152 0 data", "3145728 97521664 3 hole,zero");
    }

    @Test
    void shouldBeEqualForQemuImgUntilAByteDiffers() throws Exception {
        Path source = source();
        run(0, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source.toString(), uri);
        assertThat(run(0, "qemu-img", "compare", "-f", "raw", "-F", "raw", source.toString(), uri))
                .contains("Images are identical.");
        try (RandomAccessFile file = new RandomAccessFile(source.toFile(), "rw")) {
            file.seek(70 * MIB);
            file.write(1);
        }
        assertThat(run(1, "qemu-img", "compare", "-f", "raw", "-F", "raw", source.toString(), uri))
                .contains("Content mismatch at offset " + 70 * MIB + "!");
    }

    @Test
    void shouldDoWhatQemuIoAsks() throws Exception {
        String output = qemuIo(
                0,
                "write -P 0x5a 1M 8M",
                "write -f -P 0x11 512 512",
                "aio_write -P 0x22 12M 64k",
                "aio_write -P 0x33 13M 40M",
                "aio_flush",
                "write -z 2M 1M",
                "write -z -u 4M 1M",
                "write -z -f 5M 512",
                "discard 6M 1M",
                "flush",
                "read -P 0x11 512 512",
                "read -P 0x5a 1M 1M",
                "read -P 0 2M 1M",
                "read -P 0x5a 3M 1M",
                "read -P 0 4M 1M",
                "read -P 0 6M 1M",
                "read -P 0x22 12M 64k",
                "read -P 0x33 13M 40M",
                "read -P 0 60M 4k");
        assertThat(output).doesNotContain("verification failed", "error");
        try (FileRange file = FileRange.open(image, false)) {
            assertThat(file.nextHole(1 * MIB)).isEqualTo(4 * MIB);
        }
        assertThat(qemuIo(1, "read -P 0x77 1M 4k")).contains("Pattern verification failed at offset " + MIB);
    }

    @Test
    void shouldKeepQemuIoFromWritingWhenReadOnly() throws Exception {
        close();
        serve(true);
        assertThat(qemuIo(1, "write 0 4k")).contains("Permission denied");
        run(0, "qemu-io", "-r", "-f", "raw", "-c", "read -P 0 0 4k", uri);
    }

    /** What a protected VM's QEMU writes to, and nobody reads from. */
    @Test
    void shouldTakeWhatClientsWriteIntoAMirror() throws Exception {
        Path source = source();
        DiskLog log = new DiskLog(64 * MIB, () -> {});
        GuestDisk disk = new GuestDisk("node", "", new ReplicatedDisk("d", source.toString(), "raw", BYTES), false);
        log.begin();
        Path copy = directory.resolve("copy.img");
        FileRange.create(copy, BYTES).close();
        try (DiskMirror mirror = new DiskMirror(0, disk, log, directory, ProcessOwner.of(Path.of("/proc/self")));
                RandomAccessFile file = new RandomAccessFile(copy.toFile(), "rw")) {
            assertThat(mirror).isNotNull();
            String mirrored = "nbd+unix:///lockstep-disk-0?socket=" + directory.resolve("lockstep-disk-0.sock");
            assertThat(run(0, "nbdinfo", "--size", mirrored).strip()).isEqualTo(String.valueOf(BYTES));
            run(0, "nbdcopy", "--flush", source.toString(), mirrored);
            run(
                    0,
                    "qemu-io",
                    "-f",
                    "raw",
                    "-c",
                    "write -f -P 7 4k 64k",
                    "-c",
                    "write -z 1M 1M",
                    "-c",
                    "discard 2M 4k",
                    "-c",
                    "flush",
                    mirrored);
            assertThat(run(1, "qemu-io", "-f", "raw", "-c", "read 0 4k", mirrored))
                    .contains("not supported");
            log.take(log.tail(), Long.MAX_VALUE, new DiskLog.Taker() {
                @Override
                public void write(int number, long offset, long contentAddress, int length) throws IOException {
                    byte[] content = new byte[length];
                    new UnsafeBuffer(contentAddress, length).getBytes(0, content);
                    file.seek(offset);
                    file.write(content);
                }

                @Override
                public void zeroes(int number, long offset, long length) throws IOException {
                    file.seek(offset);
                    file.write(new byte[(int) length]);
                }
            });
            assertThat(log.lost()).isFalse();
        }
        log.close();
        run(
                0,
                "qemu-io",
                "-f",
                "raw",
                "-c",
                "write -P 7 4k 64k",
                "-c",
                "write -z 1M 1M",
                "-c",
                "write -z 2M 4k",
                source.toString());
        assertThat(Files.mismatch(source, copy)).isEqualTo(-1);
    }

    private void serve(boolean readOnly) throws Exception {
        export = new FileExport("disk0", image, readOnly);
        server = new NbdServer(directory.resolve("disk.sock"), export, null, 8);
        uri = "nbd+unix:///disk0?socket=" + server.socket();
    }

    /** Data, zeros that are written, and holes. */
    private Path source() throws IOException {
        Path source = directory.resolve("source.img");
        byte[] data = new byte[5 * MIB + 512];
        new Random(11).nextBytes(data);
        try (RandomAccessFile file = new RandomAccessFile(source.toFile(), "rw")) {
            file.setLength(BYTES);
            file.write(data);
            file.write(new byte[3 * MIB]);
            file.seek(50 * MIB + 1);
            file.write(data);
            file.seek(BYTES - 4096);
            file.write(data, 0, 4096);
        }
        return source;
    }

    private String qemuIo(int exit, String... commands) throws Exception {
        String[] line = new String[2 * commands.length + 4];
        line[0] = "qemu-io";
        line[1] = "-f";
        line[2] = "raw";
        for (int i = 0; i < commands.length; i++) {
            line[3 + 2 * i] = "-c";
            line[4 + 2 * i] = commands[i];
        }
        line[line.length - 1] = uri;
        return run(exit, line);
    }

    private String run(int exit, String... command) throws Exception {
        Path output = directory.resolve("output");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as(command[0]).isTrue();
        } finally {
            process.destroyForcibly();
        }
        String text = Files.readString(output);
        assertThat(process.exitValue()).as("%s: %s", command[0], text).isEqualTo(exit);
        return text;
    }
}
