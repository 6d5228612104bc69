package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.FileRange;
import io.lockstep.replication.hypervisor.ProcessOwner;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** QEMU's mirror, in the mode in which a guest's write returns when the copy has it, into the server. */
@Tag("system")
@Timeout(60)
class NbdMirrorTest {
    private static final int MIB = 1 << 20;
    private static final int BYTES = 32 * MIB;

    @TempDir
    Path directory;

    @Test
    void shouldHoldEveryWriteOfARunningMirror() throws Exception {
        Path source = directory.resolve("source.img");
        Path image = directory.resolve("copy.img");
        byte[] data = new byte[8 * MIB];
        new Random(17).nextBytes(data);
        Files.write(source, data);
        FileRange.create(source, BYTES).close();
        FileRange.create(image, BYTES).close();
        try (FileExport export = new FileExport("disk0", image, false);
                TestVm vm = TestVm.start(
                        "-S",
                        "-m",
                        "16",
                        "-blockdev",
                        "raw,node-name=d0,discard=unmap,file.driver=file,file.discard=unmap,file.filename=" + source,
                        "-device",
                        "virtio-blk-pci,drive=d0,id=v0");
                QmpConnection qmp = vm.connect();
                NbdServer server =
                        new NbdServer(directory.resolve("disk.sock"), export, ProcessOwner.of(vm.pid()), 1)) {
            qmp.execute(
                    "blockdev-add",
                    Map.of(
                            "driver", "nbd",
                            "node-name", "copy",
                            "export", "disk0",
                            "discard", "unmap",
                            "server",
                                    Map.of(
                                            "type",
                                            "unix",
                                            "path",
                                            server.socket().toString())));
            qmp.execute(
                    "blockdev-mirror",
                    Map.of(
                            "job-id",
                            "m",
                            "device",
                            "d0",
                            "target",
                            "copy",
                            "sync",
                            "full",
                            "copy-mode",
                            "write-blocking"));
            Awaitility.await().atMost(30, TimeUnit.SECONDS).until(() -> "ready"
                    .equals(qmp.execute("query-block-jobs")
                            .path(0)
                            .path("status")
                            .asText()));
            assertThat(Files.mismatch(source, image)).isEqualTo(-1);
            try (FileRange file = FileRange.open(image, false)) {
                assertThat(file.nextHole(0)).as("the copy's first hole").isEqualTo(8 * MIB);
            }
            guest(qmp, "write -P 0x41 20M 3M");
            guest(qmp, "write -f -P 0x42 512 512");
            guest(qmp, "write -z -u 1M 2M");
            guest(qmp, "discard 4M 1M");
            guest(qmp, "flush");
            // Nothing is waited for: each write has reached the copy before it returned.
            assertThat(Files.mismatch(source, image)).isEqualTo(-1);
            assertThat(Files.readAllBytes(image)[20 * MIB]).isEqualTo((byte) 0x41);
            qmp.execute("block-job-cancel", Map.of("device", "m"));
            Awaitility.await().until(() -> qmp.execute("query-block-jobs").isEmpty());
            qmp.execute("blockdev-del", Map.of("node-name", "copy"));
            Awaitility.await().until(() -> server.connections() == 0);
        }
    }

    private static void guest(QmpConnection qmp, String command) throws Exception {
        assertThat(qmp.hmp("qemu-io -d /machine/peripheral/v0/virtio-backend \"" + command + "\""))
                .isEmpty();
    }
}
