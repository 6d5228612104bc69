package io.lockstep.replication.memory;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.PageHelper;
import java.io.BufferedReader;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** No write is forgotten when the agent is killed in the middle of a scan. */
@Tag("kernel")
@Timeout(300)
class LedgerKillTest {
    private static final int PAGES = 65_536;
    private static final int KILLS = 25;

    @Test
    void shouldKnowEveryWrittenPageWhenKilledAtAnyInstant() throws Exception {
        long seed = Long.getLong("lockstep.seed", System.nanoTime());
        Random random = new Random(seed);
        Path path = Path.of(
                "/dev/shm/lockstep-ledger-test-" + ProcessHandle.current().pid());
        try (PageHelper helper = new PageHelper()) {
            helper.map("memfd", PAGES, "-");
            List<MemoryRegion> regions = LedgerVictim.regions(helper.page(0), PAGES * PageHelper.PAGE);
            settle(path, helper, regions, false);
            for (int kill = 0; kill < KILLS; kill++) {
                String round = "seed " + seed + ", kill " + kill;
                helper.ask("scribble " + random.nextInt(1 << 30));
                Process victim = start(path, helper);
                try (BufferedReader output = victim.inputReader(UTF_8)) {
                    assertThat(output.readLine()).as(round).isEqualTo("adopted true");
                    TimeUnit.MICROSECONDS.sleep(random.nextInt(30_000));
                } finally {
                    victim.destroyForcibly();
                }
                assertThat(victim.waitFor(30, TimeUnit.SECONDS)).as(round).isTrue();
                helper.ask("rest");
                PageBitmap known = settle(path, helper, regions, true);
                List<Integer> forgotten = new ArrayList<>();
                List<Integer> written = written(helper);
                for (int page : written) {
                    if (!known.get(page)) {
                        forgotten.add(page);
                    }
                }
                assertThat(forgotten).as(round).isEmpty();
                // Were all pages known, or none written, this test would see nothing.
                assertThat(written.size()).as(round).isBetween(100, PAGES - 100);
                assertThat(known.cardinality()).as(round).isLessThan(PAGES);
                helper.ask("forget");
            }
        } finally {
            Files.deleteIfExists(path);
        }
    }

    /** What a successor knows: the ledger and its own first scan. Acknowledges all of it, so that the next round begins with nothing. */
    private static PageBitmap settle(Path path, PageHelper helper, List<MemoryRegion> regions, boolean successor)
            throws Exception {
        try (DirtyLedger ledger = LedgerVictim.open(path, helper.pid(), regions)) {
            assertThat(ledger.recovered()).isEqualTo(successor);
            TrackerFactory.Opened opened = TrackerFactory.open(
                    helper.pid(), regions, ledger.scanVector(), successor, UserfaultTracker.NAME, 1);
            assertThat(opened.adopted()).isEqualTo(successor);
            PageBitmap known = new PageBitmap(PAGES);
            ledger.pending(known);
            ledger.reset();
            ledger.beginScan(0);
            try (DirtyTracker tracker = opened.tracker()) {
                tracker.scanAndArm(ledger.sink());
            }
            known.or(ledger.endScan(0));
            ledger.acked(0);
            return known;
        }
    }

    private static List<Integer> written(PageHelper helper) throws IOException {
        List<Integer> pages = new ArrayList<>();
        for (String page : helper.ask("list").trim().split(" ", -1)) {
            pages.add(Integer.valueOf(page));
        }
        return pages;
    }

    private static Process start(Path path, PageHelper helper) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        for (String argument : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
            if (argument.startsWith("--")) {
                command.add(argument);
            }
        }
        command.addAll(List.of(
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                LedgerVictim.class.getName(),
                path.toString(),
                Long.toString(helper.pid()),
                Long.toString(helper.page(0)),
                Long.toString(PAGES * PageHelper.PAGE)));
        return new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
    }
}
