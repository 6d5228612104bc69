package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.PageHelper;
import io.lockstep.replication.RamBlock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Huge pages of another process that is watched. */
@Tag("kernel")
@Timeout(60)
class HugePageMergerTest {
    private static final int PIECE = HotPages.PIECE_PAGES;
    private static final int PAGES = 4 * PIECE;
    private static final long HUGE_KIB = 2048;

    @Test
    void shouldPutDisarmedPiecesTogetherAndLoseNoWrite() throws Exception {
        try (PageHelper helper = new PageHelper();
                HugePageMerger merger = new HugePageMerger(helper.pid(), "vm")) {
            long area = helper.map("private", PAGES, "-");
            assertThat(helper.ask("huge")).isEqualTo("0");
            long lead = -(area >> 12) & (PIECE - 1);
            helper.ask("touch 0 " + PAGES);
            RamBlock block = new RamBlock(0, "pc.ram", PAGES * PageHelper.PAGE, 4096, true);
            List<MemoryRegion> regions = List.of(new MemoryRegion(block, area));
            try (DirtyTracker tracker = UserfaultTracker.attach(helper.pid(), regions, new ScanVector(64), 1)) {
                scan(tracker, area);
                // Each write to an armed page splits what was huge.
                for (int page = 0; page < PAGES; page += 3) {
                    helper.write(page, page);
                }
                String sum = helper.ask("sum " + (lead + 3));
                scan(tracker, area);
                long smallKib = hugeKib(helper.pid());

                long start = area + lead * PageHelper.PAGE;
                merger.merge(start + PIECE * PageHelper.PAGE);
                tracker.disarm(start, start + PIECE * PageHelper.PAGE);
                merger.merge(start);
                Awaitility.await()
                        .atMost(20, TimeUnit.SECONDS)
                        .until(() -> hugeKib(helper.pid()) == smallKib + HUGE_KIB);
                assertThat(helper.ask("sum " + (lead + 3))).isEqualTo(sum);

                Set<Long> listed = scan(tracker, area);
                assertThat(listed).as("unarmed, so listed").hasSize(PIECE).contains(lead, lead + PIECE - 1);
                assertThat(scan(tracker, area)).isEmpty();
                helper.write(lead + 5, 1);
                helper.write(lead + PIECE + 5, 1);
                assertThat(scan(tracker, area)).containsExactly(lead + 5, lead + PIECE + 5);
                tracker.detach();
            }
        }
    }

    @Test
    void shouldRestoreHugePagesButForThoseOfWhichAPartIsNotInMemoryUntilItIs() throws Exception {
        try (PageHelper helper = new PageHelper()) {
            long area = helper.map("private", PAGES, "-");
            assertThat(helper.ask("huge")).isEqualTo("0");
            long lead = -(area >> 12) & (PIECE - 1);
            RamBlock block = new RamBlock(0, "pc.ram", PAGES * PageHelper.PAGE, 4096, true);
            MemoryRegion region = new MemoryRegion(block, area);
            helper.ask("touch 0 " + PAGES);
            HugePageMerger merger = new HugePageMerger(helper.pid(), "vm");
            for (long piece = lead; piece + PIECE <= PAGES; piece += PIECE) {
                merger.merge(area + piece * PageHelper.PAGE);
            }
            long allKib = (PAGES - lead) / PIECE * HUGE_KIB;
            Awaitility.await().atMost(20, TimeUnit.SECONDS).until(() -> hugeKib(helper.pid()) == allKib);
            merger.remember(region);
            try (DirtyTracker tracker = UserfaultTracker.attach(helper.pid(), List.of(region), new ScanVector(64), 1)) {
                scan(tracker, area);
                helper.ask("touch 0 " + PAGES);
                scan(tracker, area);
                assertThat(hugeKib(helper.pid())).isZero();
                tracker.detach();
            }
            helper.ask("discard " + (lead + 7) + " 1");
            merger.restore();
            Awaitility.await().atMost(20, TimeUnit.SECONDS).until(() -> hugeKib(helper.pid()) >= allKib - HUGE_KIB);
            // As a page that the kernel was moving at the first look.
            helper.write(lead + 7, 1);
            Awaitility.await().atMost(20, TimeUnit.SECONDS).until(() -> hugeKib(helper.pid()) == allKib);
        }
    }

    private static Set<Long> scan(DirtyTracker tracker, long area) throws Exception {
        Set<Long> pages = new TreeSet<>();
        tracker.scanAndArm((from, end) -> {
            for (long at = from; at < end; at += PageHelper.PAGE) {
                pages.add((at - area) / PageHelper.PAGE);
            }
        });
        return pages;
    }

    private static long hugeKib(long pid) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + pid + "/smaps_rollup")).stream()
                .filter(line -> line.startsWith("AnonHugePages:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
                .sum();
    }
}
