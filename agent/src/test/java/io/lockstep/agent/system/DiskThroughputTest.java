package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The guest writes 64 KiB blocks to its disk with dd, synced at the end of each run; prints how much it writes with and without protection: right
 * after it began, while the agents' code is still being compiled, and from then on. By the host's clock: the guest's stands still in pauses.
 */
@Tag("system")
class DiskThroughputTest {
    private static final int RUNS = Integer.getInteger("lockstep.dd.runs", 20);
    /** 40 × 33.5 MB: by then the compilers have done what they will. */
    private static final int RUNS_UNTIL_COMPILED = Integer.getInteger("lockstep.dd.first", 40);

    private static final double RUN_MB = 33.554432;

    /** An operator's page cache, which holds what dd goes over, and not the small one of other tests. */
    private static final String PIPELINE = "[pipeline]\n";

    @Test
    @Timeout(280)
    void shouldWriteOnWhileProtected() throws Exception {
        try (TwoHosts hosts = new TwoHosts(PIPELINE)) {
            Path disk = hosts.directory().resolve("disk.raw");
            run("truncate", "-s", "64M", disk.toString());
            SystemVm vm = hosts.start(SystemVm.Boot.linux(
                    "vm1",
                    "run=/dd/run",
                    "-nic",
                    "user,model=virtio-net-pci",
                    "-initrd",
                    initrd(hosts.directory()).toString(),
                    "-drive",
                    "if=none,id=disk,format=raw,cache=none,file=" + disk,
                    "-device",
                    "virtio-blk-pci,drive=disk"));
            Path serial = hosts.directory().resolve("vm1.serial");
            Waits.until("the first run of dd", 90, () -> runs(serial) > 1);

            double before = megabytesPerSecond(serial, RUNS);
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            double first = megabytesPerSecond(serial, RUNS_UNTIL_COMPILED);
            long flushedAhead = runsOfThread("disk-flush");
            long linkBytes = hosts.a().protection("vm1").linkBytes();
            int from = runs(serial);
            double during = megabytesPerSecond(serial, RUNS);
            var status = hosts.a().protection("vm1");
            assertThat(runsOfThread("disk-flush"))
                    .as("what dd wrote is flushed ahead of the stops")
                    .isGreaterThan(flushedAhead);
            double written = (runs(serial) - from) * RUN_MB * 1e6;
            hosts.a().unprotect("vm1");
            double after = megabytesPerSecond(serial, RUNS);
            double without = (before + after) / 2;
            System.out.printf(
                    Locale.ROOT,
                    "dd of 64 KiB blocks, synced: unprotected %.1f and %.1f MB/s, protected %.1f MB/s, ratio %.2f (at first %.1f MB/s, %.2f);"
                            + " epoch p50 %.1f ms, pause p50 %.1f ms p99 %.1f ms; %s; %.2f bytes on the link for each written; %s; %s: %s%n",
                    before,
                    after,
                    during,
                    during / without,
                    first,
                    first / without,
                    status.epochMs().p50(),
                    status.pauseMs().p50(),
                    status.pauseMs().p99(),
                    status.pauseParts(),
                    (status.linkBytes() - linkBytes) / written,
                    status.encoding(),
                    status.state().name(),
                    status.state().reason());
        }
    }

    /** Over some whole runs. */
    private static double megabytesPerSecond(Path serial, int runs) throws Exception {
        int first = runs(serial) + 1;
        Waits.until("a run's end", 60, () -> runs(serial) >= first);
        long beganNs = System.nanoTime();
        int from = runs(serial);
        for (int i = 1; i <= runs; i++) {
            int run = from + i;
            Waits.until("run " + i + " of dd", 60, () -> runs(serial) >= run);
        }
        return (runs(serial) - from) * RUN_MB / ((System.nanoTime() - beganNs) / 1e9);
    }

    /** How often threads of this process with a name got a processor: one that waits, waits. */
    private static long runsOfThread(String name) throws IOException {
        long runs = 0;
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path thread : threads) {
                try {
                    if (Files.readString(thread.resolve("comm")).strip().equals(name)) {
                        runs += Long.parseLong(Files.readString(thread.resolve("schedstat"))
                                .strip()
                                .split(" ", -1)[2]);
                    }
                } catch (IOException e) {
                    // Another thread has ended.
                }
            }
        }
        return runs;
    }

    private static int runs(Path serial) throws IOException {
        if (!Files.exists(serial)) {
            return 0;
        }
        return Files.readString(serial, StandardCharsets.ISO_8859_1).split(" records out", -1).length - 1;
    }

    /** The linux guest's initrd with a program that it runs. */
    private static Path initrd(Path directory) throws Exception {
        Path program = Files.createDirectories(directory.resolve("root/dd")).resolve("run");
        Files.writeString(program, """
                #!/bin/busybox sh
                B=/bin/busybox
                $B dd if=/dev/urandom of=/tmp/data bs=64k count=512 2>/dev/null
                while true; do
                    $B dd if=/tmp/data of=/dev/vda bs=64k conv=fsync 2>&1 | $B tail -n 1
                done
                """);
        assertThat(program.toFile().setExecutable(true)).isTrue();
        Path whole = directory.resolve("initrd.dd.gz");
        run(
                "sh",
                "-c",
                "cd " + directory.resolve("root") + " && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 | cat "
                        + Guests.file("initrd.gz") + " - > " + whole);
        return whole;
    }

    private static void run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).inheritIO().start();
        assertThat(process.waitFor()).as(String.join(" ", command)).isZero();
    }
}
