package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.Pidfd;
import io.lockstep.replication.DutyCycle;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("system")
class HeldSaveTest {
    private static final long TIMEOUT_NS = 5_000_000_000L;
    private static final int SAVES = 100;

    private final ByteBuffer state = ByteBuffer.allocateDirect(1 << 20);

    private static void assertRunning(QmpConnection qmp) {
        Awaitility.await()
                .atMost(5, TimeUnit.SECONDS)
                .until(() -> qmp.execute("query-status").path("status").asText().equals("running"));
    }

    private static long median(long[] ns) {
        Arrays.sort(ns);
        return ns[ns.length / 2];
    }

    private static long pipesOf(long pid) throws Exception {
        try (Stream<Path> fds = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            return fds.filter(fd -> {
                        try {
                            return Files.readSymbolicLink(fd).toString().startsWith("pipe:");
                        } catch (java.io.IOException e) {
                            return false;
                        }
                    })
                    .count();
        }
    }

    @Test
    void shouldGiveTheWholeStateEachTimeWhenSavedManyTimes() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "q35", "-m", "64", "-vga", "std");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd()) {
            long pipesBefore = pipesOf(vm.pid());
            long floorNs = PauseFloor.medianNs(qmp, Path.of("/dev/shm/lockstep-floor-" + vm.pid()), 31);
            QmpConnectionTest.Recorder recorder = new QmpConnectionTest.Recorder();
            qmp.listener(recorder);
            long[] took = new long[SAVES];
            long[] stopped = new long[SAVES];
            long[] built = new long[SAVES];
            long[] read = new long[SAVES];
            long[] started = new long[SAVES];
            int voided = 0;
            try (HeldSave save = new HeldSave(qmp, process)) {
                for (int i = 0; i < SAVES; i++) {
                    qmp.await(5_000_000);
                    save.begin();
                    assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
                    state.clear();
                    HeldSave.Outcome outcome = save.finish(state, TIMEOUT_NS);
                    save.afterResume();
                    took[i] = save.resumedNs() - save.beginNs();
                    if (outcome == HeldSave.Outcome.VOID) {
                        voided++;
                        continue;
                    }
                    assertThat(outcome).isEqualTo(HeldSave.Outcome.COMPLETE);
                    assertThat(save.stoppedNs()).isBetween(save.beginNs(), save.boundaryNs());
                    assertThat(save.stateReadNs()).isBetween(save.boundaryNs(), save.resumedNs());
                    stopped[i] = save.stoppedNs() - save.beginNs();
                    built[i] = save.boundaryNs() - save.stoppedNs();
                    read[i] = save.stateReadNs() - save.boundaryNs();
                    started[i] = save.resumedNs() - save.stateReadNs();
                    assertThat(StandardCharsets.US_ASCII
                                    .decode(state.slice().limit(4))
                                    .toString())
                            .isEqualTo("QEVM");
                    assertThat(state.get(state.limit() - 1)).isZero();
                    assertThat(DeviceState.loadable(state, "pc-q35-7.2").remaining())
                            .isEqualTo(state.remaining() + 20);
                }
            }
            Arrays.sort(took);
            System.out.printf(
                    "held save: state %d bytes, pause p50 %d us, p99 %d us, floor p50 %d us, voided %d%n",
                    state.remaining(), took[SAVES / 2] / 1000, took[SAVES - 1] / 1000, floorNs / 1000, voided);
            // Each is a time of its own, and not the bound that it was brought to.
            System.out.printf(
                    "of it p50: stop %d us, device state %d us, reading it %d us, start %d us%n",
                    median(stopped) / 1000, median(built) / 1000, median(read) / 1000, median(started) / 1000);
            assertThat(median(stopped)).isPositive();
            assertThat(median(built)).isPositive();
            assertThat(median(read)).isPositive();
            assertThat(median(started)).isPositive();
            assertThat(recorder.names.stream().filter("RESUME"::equals).count()).isEqualTo(SAVES);
            assertThat(voided).isLessThan(SAVES / 10);
            assertRunning(qmp);
            assertThat(qmp.execute("query-fdsets")).isEmpty();
            Awaitility.await().atMost(5, TimeUnit.SECONDS).until(() -> pipesOf(vm.pid()) == pipesBefore);
        }
    }

    @Test
    void shouldSayNothingOfStopAndStartWhenTheVmDidNotRun() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            qmp.execute("stop");
            assertThat(saveOnce(save)).isEqualTo(HeldSave.Outcome.COMPLETE);
            assertThat(save.stoppedNs()).isZero();
            assertThat(save.stateReadNs()).isZero();
            qmp.execute("cont");
            assertThat(saveOnce(save)).isEqualTo(HeldSave.Outcome.COMPLETE);
            assertThat(save.stoppedNs()).isPositive();
            assertThat(save.stateReadNs()).isPositive();
        }
    }

    @Test
    void shouldLetVmRunOnWhenAbortedInMidSave() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            for (int i = 0; i < 5; i++) {
                save.begin();
                assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
                Thread aborter = new Thread(save::abort);
                aborter.start();
                aborter.join();
                state.clear();
                assertThat(save.finish(state, TIMEOUT_NS)).isEqualTo(HeldSave.Outcome.FAILED);
                save.afterResume();
                assertRunning(qmp);
                save.reopen(TIMEOUT_NS);
            }
            assertThat(saveOnce(save)).isEqualTo(HeldSave.Outcome.COMPLETE);
        }
    }

    @Test
    void shouldLetVmRunOnWhenNobodyFinishes() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process);
                PauseGuard guard = new PauseGuard(save, 20_000_000)) {
            guard.arm(System.nanoTime());
            save.begin();
            Awaitility.await().atMost(5, TimeUnit.SECONDS).until(() -> guard.aborts() == 1);
            state.clear();
            assertThat(save.finish(state, TIMEOUT_NS)).isEqualTo(HeldSave.Outcome.FAILED);
            assertRunning(qmp);
            save.reopen(TIMEOUT_NS);
            assertThat(saveOnce(save)).isEqualTo(HeldSave.Outcome.COMPLETE);
        }
    }

    @Test
    void shouldCountWhenTheGuardLooksLateAndNotHowLongItMeansToWait() throws Exception {
        AtomicLong jumpNs = new AtomicLong();
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process);
                PauseGuard guard =
                        new PauseGuard(save, 8 * DutyCycle.STALL_NS, () -> System.nanoTime() + jumpNs.get())) {
            assertThat(guard.rounds().stalls()).isZero();
            Awaitility.await().atMost(10, TimeUnit.SECONDS).until(() -> {
                // Again and again: the first time its thread may not have begun.
                jumpNs.addAndGet(100 * DutyCycle.STALL_NS);
                return guard.rounds().stalls() > 0;
            });
            assertThat(guard.aborts()).isZero();
        }
    }

    @Test
    void shouldSaySoWhenStateIsLargerThanTheBuffer() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            save.begin();
            assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
            assertThat(save.finish(ByteBuffer.allocateDirect(8192), TIMEOUT_NS)).isEqualTo(HeldSave.Outcome.TOO_LARGE);
            assertRunning(qmp);
            save.reopen(TIMEOUT_NS);
            assertThat(saveOnce(save)).isEqualTo(HeldSave.Outcome.COMPLETE);
        }
    }

    @Test
    void shouldSaySoWhenQemuDiesInMidSave() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            save.begin();
            assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
            vm.kill();
            state.clear();
            assertThat(save.finish(state, TIMEOUT_NS)).isEqualTo(HeldSave.Outcome.DIED);
        }
    }

    private HeldSave.Outcome saveOnce(HeldSave save) throws Exception {
        save.begin();
        assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
        state.clear();
        HeldSave.Outcome outcome = save.finish(state, TIMEOUT_NS);
        save.afterResume();
        return outcome;
    }
}
