package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.Descriptors;
import io.lockstep.linux.Errno;
import io.lockstep.linux.LinuxException;
import io.lockstep.linux.NativeBlock;
import io.lockstep.linux.Pidfd;
import io.lockstep.linux.ProcMaps;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Trackers on another process's memory. */
@Tag("kernel")
@Timeout(120)
class TrackerTest {
    private WatchedProcess process;

    @AfterEach
    void stop() {
        if (process != null) {
            process.close();
        }
    }

    private DirtyTracker open(String kind, String name) throws Exception {
        process = new WatchedProcess(kind);
        return TrackerFactory.open(process.helper.pid(), process.regions, new ScanVector(16), false, name, 1)
                .tracker();
    }

    @ParameterizedTest
    @CsvSource({"private,userfaultfd-wp", "memfd,userfaultfd-wp", "private,content-hash", "memfd,content-hash"})
    void shouldListWrittenPagesOfAllRegionsWhenScanned(String kind, String name) throws Exception {
        try (DirtyTracker tracker = open(kind, name)) {
            assertThat(tracker.name()).isEqualTo(name);
            process.pages(tracker::scanAndArm);
            assertThat(process.pages(tracker::scanAndArm)).isEmpty();
            for (long page : List.of(0L, 99L, 100L, 101L, 1023L)) {
                process.helper.write(page, 7);
            }
            // Page 100 is the gap between the blocks.
            assertThat(process.pages(tracker::peek)).containsExactly(0L, 99L, 101L, 1023L);
            assertThat(process.pages(tracker::peek)).containsExactly(0L, 99L, 101L, 1023L);
            assertThat(process.pages(tracker::scanAndArm)).containsExactly(0L, 99L, 101L, 1023L);
            assertThat(process.pages(tracker::scanAndArm)).isEmpty();
            tracker.detach();
        }
    }

    @Test
    void shouldLeaveHotPagesUnarmedAndListThemInWholeScansOnly() throws Exception {
        try (DirtyTracker tracker = open("private", UserfaultTracker.NAME)) {
            process.pages(tracker::scanAndArm);
            HotPages hot = hot(tracker, 5, 6, 700);
            process.helper.write(5, 1);
            process.helper.write(300, 1);
            process.helper.write(700, 1);
            assertThat(process.pages(into -> tracker.scanAndArmCold(hot, false, into)))
                    .containsExactly(300L);
            assertThat(process.pages(into -> tracker.scanAndArmCold(hot, true, into)))
                    .as("page 6 is armed since before, and was not written")
                    .containsExactly(5L, 700L);
            assertThat(process.pages(into -> tracker.scanAndArmCold(hot, true, into)))
                    .as("not written, but not armed either")
                    .containsExactly(5L, 700L);
            assertThat(process.pages(tracker::scanAndArm)).containsExactly(5L, 700L);
            assertThat(process.pages(tracker::peek)).isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({"private,3", "private,100", "memfd,3", "memfd,100"})
    void shouldListEveryWrittenPageInTheNextWholeScanWhateverIsHot(String kind, int oneHotIn) throws Exception {
        Random random = new Random(oneHotIn);
        try (DirtyTracker tracker = open(kind, UserfaultTracker.NAME)) {
            assertThat(tracker.armsSelectively()).isTrue();
            process.pages(tracker::scanAndArm);
            HotPages hot = hot(
                    tracker,
                    IntStream.range(0, WatchedProcess.PAGES)
                            .filter(page -> page != WatchedProcess.FIRST_PAGES && random.nextInt(oneHotIn) == 0)
                            .toArray());
            Set<Long> unarmed = new HashSet<>();
            for (int round = 0; round < 60; round++) {
                Set<Long> expected = new TreeSet<>();
                for (int scan = random.nextInt(3); scan >= 0; scan--) {
                    for (int write = random.nextInt(200); write > 0; write--) {
                        long page = random.nextInt(WatchedProcess.PAGES);
                        if (page != WatchedProcess.FIRST_PAGES) {
                            process.helper.write(page, round);
                            expected.add(page);
                        }
                    }
                    boolean whole = scan == 0;
                    boolean arms = !whole || random.nextBoolean();
                    List<Long> listed =
                            process.pages(arms ? into -> tracker.scanAndArmCold(hot, whole, into) : tracker::peek);
                    Set<Long> mayBeListed = new HashSet<>(expected);
                    mayBeListed.addAll(unarmed);
                    assertThat(listed).as("round %d", round).isSubsetOf(mayBeListed);
                    if (whole) {
                        assertThat(listed).as("round %d", round).containsAll(expected);
                        unarmed.clear();
                        unarmed.addAll(process.pages(tracker::peek));
                        assertThat(unarmed)
                                .as("round %d", round)
                                .allMatch(page -> arms ? hot.contains(process.flat(page)) : listed.contains(page));
                    } else {
                        listed.forEach(expected::remove);
                        assertThat(expected).as("round %d", round).allMatch(page -> hot.contains(process.flat(page)));
                    }
                }
            }
        }
    }

    /** Makes these pages hot, and everything armed. */
    private HotPages hot(DirtyTracker tracker, int... pages) throws Exception {
        HotPages hot = new HotPages(process.index, pages.length, 0, new BitSet());
        for (int i = 0; i < HotPages.SCANS; i++) {
            for (int page : pages) {
                int flat = process.flat(page);
                hot.listed(flat, flat + 1);
            }
            hot.holdEnded();
        }
        assertThat(hot.count()).isEqualTo(pages.length);
        process.pages(tracker::scanAndArm);
        return hot;
    }

    @Test
    void shouldListEveryPageWhenVectorIsSmallerThanRanges() throws Exception {
        try (DirtyTracker tracker = open("private", UserfaultTracker.NAME)) {
            process.pages(tracker::scanAndArm);
            for (long page = 1; page < 1000; page += 2) {
                process.helper.write(page, 1);
            }
            assertThat(process.pages(tracker::scanAndArm)).hasSize(500).allMatch(page -> page % 2 == 1);
        }
    }

    @Test
    void shouldListWhatWasWrittenBetweenTwoAgentsWhenAdopted() throws Exception {
        open("memfd", UserfaultTracker.NAME).close();
        long pid = process.helper.pid();
        try (DirtyTracker first = UserfaultTracker.adopt(pid, process.regions, new ScanVector(16), 1)
                .orElseThrow()) {
            process.pages(first::scanAndArm);
        }
        process.helper.write(5, 1);
        process.helper.write(500, 1);
        TrackerFactory.Opened opened = TrackerFactory.open(pid, process.regions, new ScanVector(16), true, null, 1);
        assertThat(opened.adopted()).isTrue();
        try (DirtyTracker second = opened.tracker()) {
            assertThat(process.pages(second::scanAndArm)).containsExactly(5L, 500L);
            assertThat(UserfaultTracker.descriptors(pid)).hasSize(1);
        }
    }

    @Test
    void shouldNotAdoptButReplaceWhenRegionsDiffer() throws Exception {
        open("memfd", UserfaultTracker.NAME).close();
        long pid = process.helper.pid();
        List<MemoryRegion> fewer = process.regions.subList(0, 1);
        assertThat(UserfaultTracker.adopt(pid, fewer, new ScanVector(16), 1)).isEmpty();
        TrackerFactory.Opened opened = TrackerFactory.open(pid, fewer, new ScanVector(16), true, null, 1);
        assertThat(opened.adopted()).isFalse();
        try (DirtyTracker tracker = opened.tracker()) {
            process.pages(tracker::scanAndArm);
            process.helper.write(1, 1);
            process.helper.write(700, 1);
            assertThat(process.pages(tracker::scanAndArm)).containsExactly(1L);
            assertThat(UserfaultTracker.descriptors(pid)).hasSize(1);
        }
    }

    @Test
    void shouldLeaveNothingInProcessWhenDetached() throws Exception {
        process = new WatchedProcess("private");
        long pid = process.helper.pid();
        String before = process.helper.ask("fds");
        DirtyTracker tracker = UserfaultTracker.attach(pid, process.regions, new ScanVector(16), 1);
        assertThat(process.helper.ask("fds")).isNotEqualTo(before);
        process.pages(tracker::scanAndArm);
        tracker.detach();
        tracker.close();
        assertThat(process.helper.ask("fds")).isEqualTo(before);
        assertThat(ProcMaps.detailed(pid)).noneMatch(map -> map.vmFlags().contains("uw"));
        process.helper.write(3, 3);
        assertThat(process.helper.ask("sum 3")).isEqualTo("12288");
    }

    @Test
    void shouldDetachInPeaceWhenProcessHasEnded() throws Exception {
        DirtyTracker tracker = open("private", UserfaultTracker.NAME);
        process.close();
        try (Pidfd pidfd = Pidfd.open(process.helper.pid())) {
            assertThat(pidfd.awaitExit(10_000_000_000L)).isTrue();
        } catch (LinuxException e) {
            assertThat(e.errno()).isEqualTo(Errno.ESRCH);
        }
        tracker.detach();
    }

    @Test
    void shouldReadPagesOfSeveralBlocksToConsecutiveAddressesWhenBatched() throws Exception {
        process = new WatchedProcess("memfd");
        process.helper.write(99, 1);
        process.helper.write(101, 2);
        process.helper.write(102, 3);
        NativeBlock local = new NativeBlock(3 * 4096);
        GuestMemory memory = new GuestMemory(process.helper.pid(), process.index);
        memory.begin(local.address());
        memory.add(process.index.flat(0, 99), 1);
        memory.add(process.index.flat(1, 0), 2);
        memory.finish();
        assertThat(local.buffer().get(0)).isEqualTo((byte) 1);
        assertThat(local.buffer().get(4096)).isEqualTo((byte) 2);
        assertThat(local.buffer().get(8192)).isEqualTo((byte) 3);
        memory.read(process.index.flat(1, 1), 1, local.address());
        assertThat(local.buffer().get(0)).isEqualTo((byte) 3);
    }

    @Test
    void shouldReportDiscardedPagesOnceWhenTheyWerePopulated() throws Exception {
        process = new WatchedProcess("memfd");
        int fd = process.helper.fd();
        assertThat(Descriptors.target(process.helper.pid(), fd)).startsWith("/memfd:area");
        try (DiscardWatch watch = new DiscardWatch(
                process.helper.pid(),
                Path.of("/proc/" + process.helper.pid() + "/fd/" + fd),
                (WatchedProcess.FIRST_PAGES + 1) * 4096L,
                process.index,
                1)) {
            PageBitmap found = new PageBitmap(process.index.limit());
            process.helper.ask("touch 150 100");
            assertThat(watch.discarded(found)).isZero();
            assertThat(watch.discarded(found)).isZero();
            assertThat(process.helper.ask("punch 160 10")).isEqualTo("0");
            assertThat(process.helper.ask("punch 245 20")).isEqualTo("0");
            assertThat(watch.discarded(found)).isEqualTo(15);
            assertThat(process.helperPage(found.nextSet(0))).isEqualTo(160);
            assertThat(found.cardinality()).isEqualTo(15);
            assertThat(watch.discarded(found)).isZero();
            process.helper.write(160, 1);
            assertThat(watch.discarded(found)).isZero();
            assertThat(process.helper.ask("punch 160 1")).isEqualTo("0");
            found.clear();
            assertThat(watch.discarded(found)).isEqualTo(1);
        }
    }

    @Test
    void shouldReportWriteWhenPageWasDiscardedBefore() throws Exception {
        try (DirtyTracker tracker = open("memfd", UserfaultTracker.NAME)) {
            process.helper.ask("touch 0 100");
            process.pages(tracker::scanAndArm);
            assertThat(process.helper.ask("punch 10 5")).isEqualTo("0");
            assertThat(process.pages(tracker::scanAndArm)).isEmpty();
            process.helper.write(12, 1);
            assertThat(process.pages(tracker::scanAndArm)).containsExactly(12L);
        }
    }

    @Test
    void shouldSayWhyWhenTrackerIsUnknownOrProcessIsNot() throws Exception {
        process = new WatchedProcess("private");
        long pid = process.helper.pid();
        assertThatThrownBy(() -> TrackerFactory.open(pid, process.regions, new ScanVector(1), false, "magic", 1))
                .isInstanceOf(TrackerUnavailableException.class)
                .hasMessage("tracker magic is none of userfaultfd-wp, soft-dirty, content-hash");
        assertThat(TrackerFactory.probe(0x7FFFFFF, process.regions))
                .allMatch(probe -> !probe.available() && probe.reason().equals("there is no process 134217727"));
    }

    @Test
    void shouldRateTrackersByKernelWhenProbed() throws Exception {
        process = new WatchedProcess("private");
        List<TrackerProbe> probes = TrackerFactory.probe(process.helper.pid(), process.regions);
        assertThat(probes).extracting(TrackerProbe::name).isEqualTo(TrackerFactory.NAMES);
        assertThat(probes.get(0).available()).as(probes.get(0).reason()).isTrue();
        assertThat(probes.get(2).available()).isTrue();
    }
}
