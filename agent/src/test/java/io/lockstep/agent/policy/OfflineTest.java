package io.lockstep.agent.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.lockstep.agent.events.EventLog;
import io.lockstep.linux.ProcMaps;
import io.lockstep.linux.Scheduling;
import io.lockstep.replication.hypervisor.QemuFinder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Pages and CPUs go out of use in a tree that stands for /sys; whose memory and whose threads they are is asked of real QEMUs. */
@Timeout(60)
class OfflineTest {
    private static final long ADDRESS = 0x1_2345_6789L;

    @TempDir
    Path sysfs;

    private final ActionLog log = new ActionLog(new EventLog());
    private Path soft;
    private Path hard;

    @BeforeEach
    void tree() throws Exception {
        Path memory = Files.createDirectories(sysfs.resolve("devices/system/memory"));
        soft = Files.createFile(memory.resolve("soft_offline_page"));
        hard = Files.createFile(memory.resolve("hard_offline_page"));
        cpus("0-3", "0-3");
    }

    private void cpus(String online, String present) throws Exception {
        Path cpus = sysfs.resolve("devices/system/cpu");
        Files.createDirectories(cpus);
        Files.writeString(cpus.resolve("online"), online + "\n");
        Files.writeString(cpus.resolve("present"), present + "\n");
        for (int cpu = 1; cpu < 4; cpu++) {
            Files.createDirectories(cpus.resolve("cpu" + cpu));
            Files.writeString(cpus.resolve("cpu" + cpu + "/online"), "1");
        }
    }

    private PageOffline pages() {
        return new PageOffline(sysfs, new PageOwners(List::of), log);
    }

    private String online(int cpu) throws Exception {
        return Files.readString(sysfs.resolve("devices/system/cpu/cpu" + cpu + "/online"));
    }

    @Test
    void shouldMoveAWornPageSoftlyAndOnce() throws Exception {
        PageOffline pages = pages();
        pages.take(ADDRESS, false, "on", "2 errors");
        assertThat(Files.readString(soft)).isEqualTo("0x123456000");
        pages.take(ADDRESS + 8, false, "on", "3 errors");
        assertThat(Parts.texts(log))
                .containsExactly("done took page 0x123456000 out of use (soft_offline_page): 2 errors");
        assertThat(Files.readString(hard)).isEmpty();
    }

    @Test
    void shouldTakeAPageWhoseDataIsLostHardAlsoAfterItWasMoved() throws Exception {
        PageOffline pages = pages();
        pages.take(ADDRESS, false, "on", "2 errors");
        pages.take(ADDRESS, true, "on", "poison");
        pages.take(ADDRESS, false, "on", "3 errors");
        assertThat(Files.readString(hard)).isEqualTo("0x123456000");
        assertThat(log.actions()).hasSize(2);
    }

    @Test
    void shouldTouchNothingUnlessOn() throws Exception {
        pages().take(ADDRESS, false, "dry-run", "2 errors");
        pages().take(ADDRESS, true, "off", "poison");
        CpuOffline cpus = new CpuOffline(sysfs, List::of, log);
        cpus.take(1, "dry-run", "a cache fails");
        cpus.take(2, "off", "a cache fails");
        assertThat(Files.readString(soft)).isEmpty();
        assertThat(Files.readString(hard)).isEmpty();
        assertThat(online(1) + online(2)).isEqualTo("11");
        assertThat(Parts.texts(log))
                .containsExactly(
                        "dry-run would take page 0x123456000 out of use, its content moves to another: 2 errors",
                        "off page 0x123456000 stays in use, as configured: poison",
                        "dry-run would take CPU 1 off line and keep QEMU's threads off it: a cache fails",
                        "off CPU 2 stays on line, as configured: a cache fails");
    }

    @Test
    void shouldSayWhatTheKernelRefuses() throws Exception {
        Files.delete(soft);
        pages().take(ADDRESS, false, "on", "2 errors");
        assertThat(Parts.texts(log).get(0))
                .startsWith("failed page 0x123456000 cannot be taken out of use: " + soft + " is not there. It needs")
                .endsWith("CONFIG_MEMORY_FAILURE; 2 errors");
        Files.createSymbolicLink(soft, Path.of("/dev/full"));
        pages().take(ADDRESS, false, "on", "2 errors");
        assertThat(Parts.texts(log).get(1))
                .isEqualTo("failed page 0x123456000 was not taken out of use, the kernel says No space left on device;"
                        + " 2 errors");
        new CpuOffline(sysfs, List::of, log).take(0, "on", "a cache fails");
        assertThat(Parts.texts(log).get(2))
                .startsWith("failed CPU 0 stays on line: ")
                .endsWith("cpu0/online is not there. 0 threads of 0 QEMUs keep off it; a cache fails");
    }

    @Test
    @Tag("system")
    void shouldLeaveAQemusMemoryAloneUntilItsVmHasGone(@TempDir Path directory) throws Exception {
        long frame;
        PageOffline pages;
        try (IdleQemu qemu = IdleQemu.start(directory)) {
            frame = frameOf(qemu.process.pid());
            assumeThat(frame).as("page frame numbers are shown to root alone").isNotZero();
            pages = new PageOffline(sysfs, new PageOwners(() -> new QemuFinder().all()), log);
            pages.take(frame << 12, true, "on", "poison");
            assertThat(Parts.texts(log).get(0))
                    .startsWith("refused page 0x" + Long.toHexString(frame << 12) + " stays in use: it is memory of ")
                    .contains(", pid " + qemu.process.pid() + ", which would be sent SIGBUS");
            assertThat(Files.readString(hard)).isEmpty();
        }
        pages.retry();
        assertThat(Files.readString(hard)).isEqualTo("0x" + Long.toHexString(frame << 12));
    }

    /** A page that the process alone has in memory: pages of its code are those of every other QEMU, too. */
    private static long frameOf(long pid) throws Exception {
        ByteBuffer entry = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.nativeOrder());
        try (FileChannel pagemap = FileChannel.open(Path.of("/proc", Long.toString(pid), "pagemap"))) {
            for (ProcMaps.Mapping mapping : ProcMaps.of(pid)) {
                if (!mapping.path().equals("[heap]")) {
                    continue;
                }
                entry.clear();
                boolean read = pagemap.read(entry, (mapping.start() >>> 12) * Long.BYTES) == Long.BYTES;
                if (read && entry.getLong(0) < 0) {
                    return entry.getLong(0) & ((1L << 55) - 1);
                }
            }
        }
        throw new AssertionError("no page of " + pid + " is in memory");
    }

    @Test
    @Tag("system")
    void shouldKeepEveryThreadOfARealQemuOffAFailingCpu(@TempDir Path directory) throws Exception {
        BitSet mine = Scheduling.affinity();
        assumeThat(mine.cardinality()).isGreaterThan(1);
        int failing = mine.length() - 1;
        int all = Integer.parseInt(Files.readString(Path.of("/sys/devices/system/cpu/present"))
                .strip()
                .replaceFirst(".*[-,]", ""));
        cpus("0-" + all, "0-" + all);
        Path file = sysfs.resolve("devices/system/cpu/cpu" + failing + "/online");
        Files.createDirectories(file.getParent());
        Files.writeString(file, "1");
        try (IdleQemu qemu = IdleQemu.start(directory)) {
            int pinned = qemu.threads().get(IdleQemu.VCPUS);
            BitSet one = new BitSet();
            one.set(failing);
            Scheduling.setAffinity(pinned, one);
            new CpuOffline(sysfs, () -> List.of(qemu.found()), log).take(failing, "on", "a cache fails");
            for (int tid : qemu.threads()) {
                BitSet may = Scheduling.affinity(tid);
                assertThat(may.get(failing)).as("thread %d", tid).isFalse();
                assertThat(may.isEmpty()).isFalse();
            }
            assertThat(Files.readString(file)).isEqualTo("0");
            assertThat(Parts.texts(log).get(0))
                    .matches("done took CPU " + failing + " off line\\. \\d+ threads of 1 QEMUs keep off it\\."
                            + " `echo 1 > .*/online` brings it back; a cache fails");
        }
    }

    @Test
    void shouldLeaveHalfOfTheCpus() throws Exception {
        CpuOffline cpus = new CpuOffline(sysfs, List::of, log);
        cpus.take(3, "on", "a cache fails");
        cpus.take(3, "on", "a cache fails again");
        assertThat(online(3)).isEqualTo("0");
        cpus("0,2", "0-3");
        cpus.take(1, "on", "a cache fails");
        cpus.take(2, "on", "a cache fails");
        assertThat(Parts.texts(log))
                .satisfiesExactly(
                        first -> assertThat(first).startsWith("done took CPU 3 off line. 0 threads"),
                        second -> assertThat(second).isEqualTo("done CPU 1 is off line already: a cache fails"),
                        third -> assertThat(third)
                                .isEqualTo("refused CPU 2 stays on line: 1 of 4 CPUs would be left, fewer than half;"
                                        + " a cache fails"));
    }
}
