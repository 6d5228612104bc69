package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.FileRange;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.hypervisor.HeldSave;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import io.lockstep.replication.pipeline.PagePipeline;
import io.lockstep.replication.pipeline.PipelineConfig;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.SystemNanoClock;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM's disks with a real QEMU, whose guest writes faster than the stream takes. */
@Tag("system")
@Timeout(60)
class DiskReplicationTest {
    private static final int MIB = 1 << 20;
    private static final int BYTES = 64 * MIB;
    private static final int WRITE_MIB = 4;
    /** More than the log takes while QEMU does not drain, less than it has room for. */
    private static final int WRITES = 11;

    private static final long IMAGES = 7;
    private static final int SAVES = 10;
    private static final int HOLDS_MAX = 100;

    @TempDir
    Path directory;

    /** A VM with one disk. */
    private TestVm vm(String... more) throws Exception {
        Path source = directory.resolve("source.img");
        FileRange.create(source, BYTES).close();
        List<String> arguments = new ArrayList<>(List.of(more));
        arguments.addAll(List.of(
                "-m",
                "16",
                "-blockdev",
                "raw,node-name=d0,discard=unmap,file.driver=file,file.discard=unmap,file.filename=" + source,
                "-device",
                "virtio-blk-pci,drive=d0,id=v0"));
        return TestVm.start(arguments.toArray(new String[0]));
    }

    private static PagePipeline pipeline() {
        return new PagePipeline(
                PipelineConfig.defaults(),
                Thread::new,
                counts -> {},
                (block, page, changed) -> {},
                SystemNanoClock.INSTANCE);
    }

    private DiskReplication disks(TestVm vm, QmpConnection qmp, PagePipeline pipeline) throws Exception {
        return new DiskReplication(
                GuestDisk.find(qmp), 0, qmp, vm.pid(), pipeline, directory.resolve("state"), "vm", () -> {});
    }

    /** To add a bitmap, QEMU waits for all writes, and they for room in the log, which the thread that waits for QEMU's answer makes. */
    @Test
    void shouldLetQemuDrainWhileItsAnswerIsWaitedFor() throws Exception {
        try (TestVm vm = vm("-S");
                QmpConnection qmp = vm.connect();
                PagePipeline pipeline = pipeline();
                DiskReplication disks = disks(vm, qmp, pipeline)) {
            assertThat(disks.begin(false, IMAGES)).isFalse();
            Awaitility.await().until(() -> disks.ready(System.nanoTime()));
            for (int i = 0; i < WRITES; i++) {
                assertThat(qmp.hmp("qemu-io -d /machine/peripheral/v0/virtio-backend \"aio_write -P 0x41 "
                                + i * WRITE_MIB + "M " + WRITE_MIB + "M\""))
                        .isEmpty();
            }
            disks.keep(0, -1, System.nanoTime());
            assertThat(disks.waits()).isTrue();
            long stopNs = System.nanoTime();
            assertThat(disks.flushNs(stopNs)).isLessThan(stopNs);
            disks.flushAhead();
            disks.awaitFlushed();
            // The stop does not wait for a slow medium for long; this does.
            Awaitility.await("flushed ahead of the stop").until(() -> disks.flushNs(stopNs) == Long.MAX_VALUE);
            // With nothing to flush, it is looked once more right before the stop, and no more after that.
            assertThat(disks.nextFlushNs(stopNs, stopNs)).isEqualTo(Long.MAX_VALUE);
            long laterNs = System.nanoTime() + 3_600_000_000_000L;
            assertThat(disks.nextFlushNs(laterNs, System.nanoTime())).isBetween(System.nanoTime(), laterNs);
            disks.requireIntact("");
            disks.remove(true);
        }
    }

    /** A mirror is flushed behind its disk: that is how it is known from outside when QEMU has drained. */
    @Test
    void shouldTellWhenQemuHadFlushedTheDisksInAStop() throws Exception {
        try (TestVm vm = vm();
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process);
                PagePipeline pipeline = pipeline();
                DiskReplication disks = disks(vm, qmp, pipeline)) {
            disks.begin(false, IMAGES);
            Awaitility.await().until(() -> disks.ready(System.nanoTime()));
            int seen = 0;
            for (int i = 0; i < HOLDS_MAX && seen <= SAVES / 2; i++) {
                if (i % 2 == 0) {
                    qmp.hmp("qemu-io -d /machine/peripheral/v0/virtio-backend \"write " + i % SAVES + "M 64k\"");
                }
                hold(save, disks);
                // The server says so once it has answered: on a busy host that may be later than what QEMU does next.
                if (disks.flushedNs() - save.stoppedNs() > 0 && disks.flushedNs() - save.boundaryNs() < 0) {
                    seen++;
                }
            }
            assertThat(seen).isGreaterThan(SAVES / 2);
            disks.remove(true);
        }
    }

    private static void hold(HeldSave save, DiskReplication disks) throws Exception {
        disks.draining(true);
        save.begin();
        assertThat(save.awaitBoundary(5_000_000_000L)).isTrue();
        disks.mark();
        disks.draining(false);
        assertThat(save.finish(ByteBuffer.allocateDirect(MIB), 5_000_000_000L)).isEqualTo(HeldSave.Outcome.COMPLETE);
        save.afterResume();
    }
}
