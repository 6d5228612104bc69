package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.lockstep.linux.LinuxException;
import io.lockstep.replication.DutyCycle;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.agrona.concurrent.SystemNanoClock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Several threads over one process's memory, in pieces so small that each of them takes many. */
@Tag("kernel")
@Timeout(120)
class ScanTeamTest {
    private static final long PAGE_BYTES = 4096;
    private static final int ROUNDS = 300;

    private final WatchedProcess process = start();

    private static WatchedProcess start() {
        try {
            return new WatchedProcess("private");
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    @AfterEach
    void stop() {
        process.close();
    }

    /** Vectors from plenty down to one entry a thread, which overflow at every piece. */
    @ParameterizedTest
    @ValueSource(ints = {4096, 64, 4})
    void shouldListEveryWrittenPageOnceWhenPiecesAreTakenByAnyThread(int entries) throws Exception {
        long pid = process.helper.pid();
        MemoryRegion region = process.regions.get(1);
        long first = (region.hostAddress() - process.regions.get(0).hostAddress()) / PAGE_BYTES;
        int pages = region.block().pageCount();
        SplittableRandom random = new SplittableRandom(11);
        try (UserfaultTracker tracker = UserfaultTracker.attach(pid, process.regions, new ScanVector(16), 1);
                ScanTeam team =
                        new ScanTeam(pid, new ScanVector(entries), 4, 16 * PAGE_BYTES, SystemNanoClock.INSTANCE)) {
            process.pages(tracker::scanAndArm);
            for (int round = 0; round < ROUNDS; round++) {
                TreeSet<Long> written = new TreeSet<>();
                for (int i = 0, count = random.nextInt(12); i < count; i++) {
                    long page = first + random.nextInt(pages);
                    process.helper.write(page, round);
                    written.add(page);
                }
                assertThat(scan(team, region, false)).as("peek %d", round).containsExactlyElementsOf(written);
                assertThat(scan(team, region, true)).as("scan %d", round).containsExactlyElementsOf(written);
            }
            assertThat(scan(team, region, true)).isEmpty();
            tracker.detach();
        }
    }

    @Test
    void shouldHandOnWhatWasFoundWhenProcessMemoryIsNotWatched() throws Exception {
        MemoryRegion region = process.regions.get(0);
        try (ScanTeam team =
                new ScanTeam(process.helper.pid(), new ScanVector(64), 3, 16 * PAGE_BYTES, SystemNanoClock.INSTANCE)) {
            assertThatThrownBy(() -> scan(team, region, true))
                    .isInstanceOf(LinuxException.class)
                    .hasMessageContaining("PAGEMAP_SCAN");
            // The team is whole afterwards: it fails again rather than waits for pieces that nobody takes.
            assertThatThrownBy(() -> scan(team, region, true)).isInstanceOf(LinuxException.class);
        }
    }

    @Test
    void shouldCountStallsOfEachHelperAndNoneWhileItWaits() throws Exception {
        AtomicLong nowNs = new AtomicLong();
        AtomicLong stepNs = new AtomicLong();
        MemoryRegion region = process.regions.get(1);
        try (UserfaultTracker tracker =
                        UserfaultTracker.attach(process.helper.pid(), process.regions, new ScanVector(16), 1);
                ScanTeam team = new ScanTeam(
                        process.helper.pid(),
                        new ScanVector(4096),
                        3,
                        16 * PAGE_BYTES,
                        () -> nowNs.addAndGet(stepNs.get()))) {
            assertThat(tracker.rounds()).as("memory below 1 GiB has one thread").isEmpty();
            assertThat(team.rounds()).containsOnlyKeys("scan-1", "scan-2");
            for (int i = 0; i < 3; i++) {
                await().until(() -> team.rounds().values().stream().allMatch(ScanTeamTest::rests));
                nowNs.addAndGet(10 * DutyCycle.STALL_NS);
                scan(team, region, true);
            }
            await().until(() -> team.rounds().values().stream().allMatch(ScanTeamTest::rests));
            assertThat(team.rounds().values()).allMatch(rounds -> rounds.stalls() == 0);

            stepNs.set(DutyCycle.STALL_NS + 1);
            await().until(() -> {
                scan(team, region, true);
                return team.rounds().values().stream().allMatch(rounds -> rounds.stalls() > 0);
            });
            tracker.detach();
        }
    }

    private static boolean rests(DutyCycle rounds) {
        return rounds.ageNs(Long.MAX_VALUE) == 0;
    }

    /** Pages in ascending order, as the helper numbers them; twice in it if listed twice. */
    private List<Long> scan(ScanTeam team, MemoryRegion region, boolean protect) throws LinuxException {
        List<Long> found = new ArrayList<>();
        long base = process.regions.get(0).hostAddress();
        team.scan(region.hostAddress(), region.hostEnd(), protect, (start, end) -> LongStream.range(
                        start / PAGE_BYTES, end / PAGE_BYTES)
                .forEach(page -> found.add(page - base / PAGE_BYTES)));
        return found.stream().sorted().toList();
    }
}
