package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("system")
class QmpConnectionTest {
    private static final long TIMEOUT_NS = 5_000_000_000L;

    /** Keeps the events' names. */
    static final class Recorder implements QmpEventListener {
        final List<String> names = new ArrayList<>();
        final List<QmpEvent> events = new ArrayList<>();

        @Override
        public void stopped(long nowNs) {
            names.add("STOP");
        }

        @Override
        public void resumed(long nowNs) {
            names.add("RESUME");
        }

        @Override
        public void event(QmpEvent event) {
            names.add(event.name());
            events.add(event);
        }
    }

    private static void awaitEvent(QmpConnection qmp, Recorder recorder, String name) throws LockstepException {
        long deadlineNs = System.nanoTime() + TIMEOUT_NS;
        while (!recorder.names.contains(name)) {
            assertThat(System.nanoTime()).as("waited for " + name).isLessThan(deadlineNs);
            qmp.await(100_000_000);
            qmp.receive();
        }
    }

    @Test
    void shouldTellVersionAndQueueEventsWhenVmStopsAndResets() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect()) {
            assertThat(qmp.version()).isGreaterThanOrEqualTo(QemuVersion.OLDEST);
            Recorder recorder = new Recorder();
            qmp.listener(recorder);
            qmp.execute("stop");
            qmp.execute("cont");
            qmp.execute("system_reset");
            awaitEvent(qmp, recorder, "RESET");
            assertThat(recorder.names).startsWith("STOP", "RESUME").contains("RESET");
            assertThat(recorder.events.get(0).kind()).isEqualTo(QmpEvent.Kind.RESET);
            assertThat(recorder.events.get(0).byGuest()).isFalse();
            assertThat(qmp.hmp("info status")).isEqualTo("VM status: running\n");
        }
    }

    @Test
    void shouldReportQemusTextWhenCommandIsRefused() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect()) {
            assertThatThrownBy(() -> qmp.execute("device_del", Map.of("id", "none")))
                    .isInstanceOf(LockstepException.class)
                    .hasMessage("QEMU refused device_del: Device 'none' not found.")
                    .extracting(e -> ((LockstepException) e).code())
                    .isEqualTo("qmp-error");
            assertThat(qmp.execute("query-status").path("status").asText()).isEqualTo("running");
        }
    }

    @Test
    void shouldSaySoWhenAnotherClientHasTheSocket() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection first = vm.connect()) {
            assertThat(first.fd()).isPositive();
            assertThatThrownBy(() -> QmpConnection.open(vm.qmpSocket(), 200_000_000))
                    .isInstanceOf(LockstepException.class)
                    .hasMessage("The QMP socket " + vm.qmpSocket()
                            + " accepts no further client (no greeting within 200 ms): another one is connected."
                            + " Disconnect it, or start QEMU with a second socket for Lockstep, e.g."
                            + " `-qmp unix:/run/NAME-lockstep.qmp,server=on,wait=off`.")
                    .extracting(e -> ((LockstepException) e).code())
                    .isEqualTo("qmp-busy");
        }
    }

    @Test
    void shouldSaySoWhenNobodyListens() {
        assertThatThrownBy(() -> QmpConnection.open(Path.of("/nonexistent.qmp"), 200_000_000))
                .hasMessage("Cannot connect to the QMP socket /nonexistent.qmp: connect(/nonexistent.qmp): ENOENT (2)."
                        + " Is QEMU running, and may this user connect?");
    }

    @Test
    void shouldRunAnnouncedCommandOnlyOnceItIsSent() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect()) {
            Recorder recorder = new Recorder();
            qmp.listener(recorder);
            QmpCommand stop = qmp.prepare("stop", qmp.arguments());
            qmp.announce(stop);
            qmp.announce(stop);
            // Another command comes between, with an answer of its own, and then another announcement.
            assertThat(qmp.execute("query-status").path("running").asBoolean()).isTrue();
            qmp.announce(stop);
            qmp.announce(qmp.prepare("system_reset", qmp.arguments()));
            qmp.announce(stop);
            assertThat(qmp.hmp("info status")).isEqualTo("VM status: running\n");
            assertThat(recorder.names).isEmpty();

            qmp.announce(stop);
            qmp.send(stop);
            awaitEvent(qmp, recorder, "STOP");
            qmp.send(stop);
            assertThat(qmp.execute("query-status").path("running").asBoolean()).isFalse();
            assertThat(recorder.names).containsExactly("STOP");
        }
    }

    @Test
    void shouldForgetWhatWasAnnouncedWhenConnectionEnds() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16")) {
            for (int i = 0; i < 3; i++) {
                try (QmpConnection qmp = vm.connect()) {
                    assertThat(qmp.execute("query-status").path("running").asBoolean())
                            .isTrue();
                    qmp.announce(qmp.prepare("stop", qmp.arguments()));
                }
            }
        }
    }

    @Test
    void shouldReportClosedWhenQemuDies() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "16");
                QmpConnection qmp = vm.connect()) {
            vm.kill();
            assertThatThrownBy(() -> {
                        qmp.await(TIMEOUT_NS);
                        qmp.receive();
                    })
                    .hasMessage("QEMU closed the QMP connection " + vm.qmpSocket() + ".");
        }
    }
}
