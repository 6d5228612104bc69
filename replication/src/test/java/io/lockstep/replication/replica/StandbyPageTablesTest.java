package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.hypervisor.TestVm;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class StandbyPageTablesTest {
    private static final int MIB = 1 << 20;

    /** What a process has mapped of a file, KiB. */
    private static long residentKib(long pid, Path file) throws IOException {
        boolean here = false;
        long kib = 0;
        for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/smaps"))) {
            if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
                here = line.endsWith(file.toString());
            } else if (here && line.startsWith("Rss:")) {
                kib += Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return kib;
    }

    private static long allocatedKib(Path file) throws IOException {
        Process stat = new ProcessBuilder("stat", "-c", "%b", file.toString()).start();
        return Long.parseLong(new String(stat.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip()) / 2;
    }

    private static void fill(long pid, Path file) throws IOException {
        long from = 0;
        do {
            from = StandbyPageTables.fill(pid, List.of(file), from);
        } while (from != 0);
    }

    @Test
    void shouldMapWhatTheFileHoldsAndAllocateNothingForItsHoles() throws Exception {
        Path file = Files.createTempFile(Path.of("/dev/shm"), "lockstep-page-tables", "");
        try {
            byte[] page = new byte[4096];
            page[7] = 1;
            try (RandomAccessFile content = new RandomAccessFile(file.toFile(), "rw")) {
                content.setLength(256 * MIB);
                // A stretch that begins and ends within 64 KiB, single pages for more than one slice, and the last one.
                for (int at = 16 * MIB + 4096 * 3; at < 24 * MIB + 4096 * 5; at += 4096) {
                    content.seek(at);
                    content.write(page);
                }
                for (int i = 0; i < 2000; i++) {
                    content.seek(32 * MIB + i * 98_304L);
                    content.write(page);
                }
                content.seek(256 * MIB - 4096);
                content.write(page);
            }
            long contentKib = allocatedKib(file);
            try (TestVm vm = TestVm.start(
                    "-machine",
                    "q35,memory-backend=ram0",
                    "-m",
                    "256",
                    "-S",
                    "-object",
                    "memory-backend-file,id=ram0,size=256M,share=on,mem-path=" + file)) {
                vm.connect().close();
                long before = allocatedKib(file);
                fill(vm.pid(), file);
                assertThat(residentKib(vm.pid(), file))
                        .isGreaterThanOrEqualTo(contentKib)
                        .isEqualTo(allocatedKib(file));
                assertThat(allocatedKib(file)).isEqualTo(before);
                fill(vm.pid(), file);
                assertThat(allocatedKib(file)).isEqualTo(before);
            }
        } finally {
            Files.delete(file);
        }
    }

    @Test
    void shouldDoNoHarmWhenTheProcessIsGone() throws Exception {
        Process gone = new ProcessBuilder("true").start();
        gone.waitFor();
        assertThatThrownBy(() -> StandbyPageTables.fill(gone.pid(), List.of(), 0))
                .isInstanceOf(IOException.class);
        new StandbyPageTables().keepFilled(0, gone.pid(), List.of());
    }
}
