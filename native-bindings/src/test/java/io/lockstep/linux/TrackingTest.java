package io.lockstep.linux;

import static io.lockstep.linux.PageHelper.PAGE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Userfaultfd and PAGEMAP_SCAN on another process's memory. */
@Tag("kernel")
class TrackingTest {
    private static final int PAGES = 1024;
    private static final int ENTRIES = 64;

    private final NativeBlock vector = new NativeBlock(ENTRIES * PagemapScan.ENTRY_BYTES);
    private PageHelper helper;
    private int remoteFd;
    private Userfaultfd userfaultfd;
    private PagemapScan scan;

    @BeforeEach
    void start() throws Exception {
        helper = new PageHelper();
    }

    @AfterEach
    void stop() {
        if (scan != null) {
            scan.close();
            userfaultfd.close();
        }
        helper.close();
    }

    private void track(String kind) throws Exception {
        helper.map(kind, PAGES, "-");
        remoteFd = RemoteSyscall.userfaultfd(helper.pid());
        try (Pidfd pidfd = Pidfd.open(helper.pid())) {
            userfaultfd = new Userfaultfd(pidfd.getfd(remoteFd));
        }
        userfaultfd.enable(Userfaultfd.FEATURES_ASYNC_TRACKING);
        userfaultfd.registerWriteProtect(helper.page(0), PAGES * PAGE);
        scan = new PagemapScan(helper.pid());
        written(true);
    }

    private List<Long> written(boolean protect) throws Exception {
        return written(protect, ENTRIES);
    }

    private List<Long> written(boolean protect, int entries) throws Exception {
        List<Long> pages = new ArrayList<>();
        for (long at = helper.page(0); at < helper.page(PAGES); at = scan.walkEnd()) {
            int count = scan.written(at, helper.page(PAGES), protect, vector.address(), entries);
            for (int i = 0; i < count; i++) {
                long start = vector.buffer().getLong(i * PagemapScan.ENTRY_BYTES);
                long end = vector.buffer().getLong(i * PagemapScan.ENTRY_BYTES + 8);
                for (long page = start; page < end; page += PAGE) {
                    pages.add((page - helper.page(0)) / PAGE);
                }
            }
        }
        return pages;
    }

    @ParameterizedTest
    @ValueSource(strings = {"private", "memfd"})
    void shouldReportPagesOnceWhenWritten(String kind) throws Exception {
        track(kind);
        assertThat(written(true)).isEmpty();
        helper.write(3, 1);
        helper.write(4, 1);
        helper.write(700, 1);
        assertThat(written(false)).containsExactly(3L, 4L, 700L);
        assertThat(written(true)).containsExactly(3L, 4L, 700L);
        assertThat(written(true)).isEmpty();
        helper.write(3, 2);
        assertThat(written(true)).containsExactly(3L);
    }

    @Test
    void shouldGoOnBehindWalkEndWhenVectorIsFull() throws Exception {
        track("private");
        List<Long> expected = new ArrayList<>();
        for (long page = 1; page < PAGES; page += 2) {
            helper.write(page, 5);
            expected.add(page);
        }
        assertThat(written(true, 7)).isEqualTo(expected);
        assertThat(written(true, 7)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"read", "direct"})
    void shouldReportPageWhenKernelReadsFileIntoIt(String how, @TempDir Path directory) throws Exception {
        Path file = Files.write(directory.resolve("source"), new byte[(int) PAGE]);
        track("private");
        assertThat(helper.ask(how + " 9 " + file)).isEqualTo("4096 0");
        assertThat(written(true)).containsExactly(9L);
    }

    @Test
    void shouldReportPageWhenPrivateMemoryIsDiscarded() throws Exception {
        track("private");
        helper.write(5, 1);
        written(true);
        assertThat(helper.ask("discard 5 1")).isEqualTo("0");
        assertThat(written(true)).containsExactly(5L);
    }

    @Test
    void shouldShowUwFlagOnlyWhileRegistered() throws Exception {
        track("memfd");
        assertThat(flagged()).isTrue();
        userfaultfd.unregister(helper.page(0), PAGES * PAGE);
        assertThat(flagged()).isFalse();
        RemoteSyscall.close(helper.pid(), remoteFd);
        assertThat(Descriptors.target(helper.pid(), remoteFd)).isEmpty();
    }

    @Test
    void shouldFailWithEbusyWhenAnotherDescriptorWatches() throws Exception {
        track("memfd");
        int secondFd = RemoteSyscall.userfaultfd(helper.pid());
        try (Pidfd pidfd = Pidfd.open(helper.pid());
                Userfaultfd second = new Userfaultfd(pidfd.getfd(secondFd))) {
            second.enable(Userfaultfd.FEATURES_ASYNC_TRACKING);
            assertThatThrownBy(() -> second.registerWriteProtect(helper.page(0), PAGE))
                    .isInstanceOf(LinuxException.class)
                    .hasMessage("ioctl(UFFDIO_REGISTER, 0x" + Long.toHexString(helper.page(0))
                            + ", length 0x1000): EBUSY (16)");
        }
        userfaultfd.registerWriteProtect(helper.page(0), PAGES * PAGE);
        assertThat(written(true)).isEmpty();
    }

    @Test
    void shouldNameCallAndValuesWhenRangeIsNotWatched() throws Exception {
        helper.map("private", PAGES, "-");
        try (PagemapScan unwatched = new PagemapScan(helper.pid())) {
            assertThatThrownBy(() -> unwatched.written(helper.page(0), helper.page(1), true, vector.address(), ENTRIES))
                    .isInstanceOf(LinuxException.class)
                    .hasMessage("ioctl(/proc/" + helper.pid() + "/pagemap, PAGEMAP_SCAN, 0x"
                            + Long.toHexString(helper.page(0)) + "..0x" + Long.toHexString(helper.page(1))
                            + ", flags 3, entries 64): EPERM (1)");
        }
    }

    private boolean flagged() throws Exception {
        return ProcMaps.detailed(helper.pid()).stream()
                .filter(m -> m.start() <= helper.page(0) && m.end() > helper.page(0))
                .allMatch(m -> m.vmFlags().contains("uw"));
    }
}
