package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.FileRange;
import io.lockstep.replication.hypervisor.QmpConnection;
import io.lockstep.replication.hypervisor.TestVm;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class FlushAheadTest {
    private static final int BYTES = 1 << 20;

    @TempDir
    Path directory;

    private final AtomicLong written = new AtomicLong();

    @Test
    void shouldFlushWhatWasWrittenAndNothingElse() throws Exception {
        try (FlushAhead flushes = new FlushAhead(written::get)) {
            flushes.start(List.of(FileRange.create(directory.resolve("disk"), BYTES)));
            written.addAndGet(FlushAhead.BYTES_MIN - 1);
            assertThat(flushes.pays()).isFalse();
            flushes.begin();
            written.addAndGet(1);
            flushes.await();
            assertThat(flushes.pays()).as("nothing was flushed").isTrue();
            flushes.begin();
            flushes.await();
            // A stop does not wait for a slow medium for long; this does.
            Awaitility.await("all was flushed").until(() -> !flushes.pays());
        }
    }

    /** QEMU's own flush meets the disk's error, and does what is to be done. */
    @Test
    void shouldLeaveTheFlushesToQemuWhereTheyFail() throws Exception {
        try (FlushAhead flushes = new FlushAhead(written::get)) {
            // It has no medium: EINVAL.
            flushes.start(List.of(FileRange.open(Path.of("/dev/null"), false)));
            written.addAndGet(BYTES);
            flushes.begin();
            flushes.await();
            Awaitility.await("the failed flush").until(() -> !flushes.pays());
            written.addAndGet(BYTES);
            assertThat(flushes.pays()).isFalse();
        }
    }

    @Test
    void shouldDoNothingAfterItsEnd() throws Exception {
        FlushAhead flushes = new FlushAhead(written::get);
        FileRange file = FileRange.create(directory.resolve("disk"), BYTES);
        String disk = directory.resolve("disk").toRealPath().toString();
        assertThat(Descriptors.target(file.fd())).isEqualTo(disk);
        flushes.start(List.of(file));
        flushes.close();
        assertThat(Descriptors.target(file.fd())).isNotEqualTo(disk);
        written.addAndGet(BYTES);
        flushes.begin();
        flushes.await();
        assertThat(flushes.pays()).isFalse();
    }

    /** Its QEMU may have other names for its files than this process: those of its root, or of where it was started. */
    @Test
    @Tag("system")
    void shouldFindTheFilesThatQemuFlushes() throws Exception {
        Path raw = image("raw");
        Path unsafe = image("unsafe");
        Path relative = image("relative");
        try (TestVm vm = TestVm.start(
                        "-S",
                        "-drive",
                        "if=virtio,format=raw,file=" + raw,
                        "-drive",
                        "if=virtio,format=raw,cache=unsafe,file=" + unsafe,
                        "-drive",
                        "if=virtio,format=raw,file="
                                + Path.of("..").resolve(directory.getFileName()).resolve("relative"),
                        "-drive",
                        "if=virtio,driver=null-co,size=1M");
                QmpConnection qmp = vm.connect()) {
            List<FileRange> files = FlushAhead.files(qmp, vm.pid(), GuestDisk.find(qmp));
            assertThat(files.stream()
                            .map(file -> Path.of("/proc/self/fd/" + file.fd()))
                            .map(FlushAheadTest::target))
                    .containsExactlyInAnyOrder(raw, relative);
            files.forEach(FileRange::close);
        }
    }

    private Path image(String name) throws Exception {
        Path image = directory.resolve(name);
        FileRange.create(image, BYTES).close();
        return image.toRealPath();
    }

    private static Path target(Path link) {
        try {
            return Files.readSymbolicLink(link);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
