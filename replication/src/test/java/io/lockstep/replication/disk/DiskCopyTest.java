package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.DutyCycle;
import io.lockstep.replication.ReplicatedDisk;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Reads from QEMU's own server, which is made to stand still. */
@Timeout(60)
class DiskCopyTest {
    /** More than the log takes of a copy before it waits for its taker. */
    private static final int BYTES = 16 << 20;

    private static final int LOG_BYTES = 8 << 20;

    @TempDir
    Path directory;

    @Test
    void shouldCountWhenQemuStandsStillAndNotItsWaitForRoomInTheLog() throws Exception {
        Path socket = directory.resolve("nbd.sock");
        Process qemu = serve(socket);
        DiskLog log = new DiskLog(LOG_BYTES, () -> {});
        DutyCycle rounds = DutyCycle.idle();
        GuestDisk disk = new GuestDisk("n", "", new ReplicatedDisk("d", "/d", "qcow2", BYTES), false);
        try (CopyLedger ledger = new CopyLedger(directory.resolve("copied"), "about", 1);
                DiskCopy copy = new DiskCopy(
                        List.of(disk), socket, ledger, log, DiskCopy.Known.EMPTY, new LongAdder(), rounds)) {
            Awaitility.await().until(() -> Files.exists(socket));
            log.begin();
            signal(qemu, "STOP");
            copy.start();
            Awaitility.await().until(() -> rounds.ageNs(System.nanoTime()) > DutyCycle.STALL_NS);
            assertThat(rounds.stalls()).isZero();
            signal(qemu, "CONT");
            Awaitility.await().until(() -> rounds.stalls() > 0);

            Awaitility.await().until(() -> copy.position(0) > 0 && rounds.ageNs(Long.MAX_VALUE) == 0);
            assertThat(copy.complete()).isFalse();
            assertThat(copy.failure()).isNull();
        } finally {
            qemu.destroyForcibly();
            log.close();
        }
    }

    private Process serve(Path socket) throws Exception {
        Path raw = directory.resolve("raw.img");
        try (RandomAccessFile file = new RandomAccessFile(raw.toFile(), "rw")) {
            file.write(new byte[BYTES - 1]);
            file.write(1);
            for (int i = 0; i < BYTES; i += 4096) {
                file.seek(i);
                file.write(1);
            }
        }
        Path image = directory.resolve("disk.qcow2");
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw.toString(), image.toString());
        run("qemu-img", "bitmap", "--add", image.toString(), BitmapTrail.todo());
        return new ProcessBuilder(
                        "qemu-nbd",
                        "-r",
                        "-f",
                        "qcow2",
                        "-k",
                        socket.toString(),
                        "-x",
                        DiskExports.name(0),
                        "-B",
                        BitmapTrail.todo(),
                        "--persistent",
                        image.toString())
                .inheritIO()
                .start();
    }

    private static void signal(Process process, String name) throws Exception {
        run("kill", "-" + name, Long.toString(process.pid()));
    }

    private static void run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as("%s", List.of(command)).isZero();
    }
}
