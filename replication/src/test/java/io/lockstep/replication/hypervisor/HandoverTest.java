package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.linux.Pidfd;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("system")
class HandoverTest {
    private static final long TIMEOUT_NS = 5_000_000_000L;

    private final ByteBuffer state = ByteBuffer.allocateDirect(1 << 20);

    private static void freeze(HeldSave save, Handover handover, ByteBuffer into) throws Exception {
        save.begin();
        assertThat(save.awaitBoundary(TIMEOUT_NS)).isTrue();
        handover.freeze(into, TIMEOUT_NS);
    }

    @Test
    void shouldRunOnWhenReleased() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32", "-vga", "std");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            QmpConnectionTest.Recorder recorder = new QmpConnectionTest.Recorder();
            qmp.listener(recorder);
            try (Handover handover = Handover.attach(save, process)) {
                freeze(save, handover, state);
                assertThat(handover.frozen()).isTrue();
                assertThat(DeviceState.loadable(state, "x").remaining()).isEqualTo(state.remaining() + 11);
                qmp.receive();
                assertThat(recorder.names).containsExactly("STOP");
                handover.release(TIMEOUT_NS);
                assertThat(handover.frozen()).isFalse();
            }
            assertThat(recorder.names).containsExactly("STOP", "RESUME");
            assertThat(qmp.execute("query-status").path("status").asText()).isEqualTo("running");
        }
    }

    @Test
    void shouldEndQemuBeforeItRunsTheVmAgainWhenKilledFrozen() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "q35", "-m", "32");
                QmpConnection qmp = vm.connect();
                Pidfd process = vm.pidfd();
                HeldSave save = new HeldSave(qmp, process)) {
            QmpConnectionTest.Recorder recorder = new QmpConnectionTest.Recorder();
            qmp.listener(recorder);
            try (Handover handover = Handover.attach(save, process)) {
                assertThatThrownBy(handover::kill)
                        .hasMessage("QEMU (pid " + vm.pid() + ") is not held: it is not ended.");
                freeze(save, handover, state);
                handover.kill();
                handover.awaitEnd(TIMEOUT_NS);
            }
            assertThat(process.awaitExit(0)).isTrue();
            assertThatThrownBy(qmp::receive).isNotNull();
            assertThat(recorder.names).containsExactly("STOP");
        }
    }

    @Test
    void shouldRunOnWhenTheHoldingProcessIsKilled() throws Exception {
        try (TestVm vm = TestVm.start("-machine", "pc", "-m", "32", "-qmp", "unix:@DIR@/second,server=on,wait=off")) {
            List<String> command = new ArrayList<>();
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                    .filter(a -> a.startsWith("--"))
                    .toList());
            command.addAll(List.of("-cp", System.getProperty("java.class.path"), Holder.class.getName()));
            command.addAll(List.of(String.valueOf(vm.pid()), vm.qmpSocket().toString()));
            Process holder = new ProcessBuilder(command)
                    .redirectError(vm.directory().resolve("holder.log").toFile())
                    .start();
            byte[] said = holder.getInputStream().readNBytes(6);
            assertThat(new String(said, StandardCharsets.US_ASCII)).isEqualTo("FROZEN");
            holder.destroyForcibly();
            assertThat(holder.waitFor(10, TimeUnit.SECONDS)).isTrue();
            try (QmpConnection qmp = QmpConnection.open(vm.directory().resolve("second"), TIMEOUT_NS)) {
                Awaitility.await().atMost(5, TimeUnit.SECONDS).until(() -> qmp.execute("query-status")
                        .path("status")
                        .asText()
                        .equals("running"));
                try (Pidfd process = vm.pidfd();
                        HeldSave save = new HeldSave(qmp, process)) {
                    assertThat(save.beginNs()).isZero();
                    assertThat(qmp.execute("query-fdsets")).hasSize(1);
                }
                assertThat(qmp.execute("query-fdsets")).isEmpty();
            }
        }
    }

    /** A process that freezes a QEMU and waits to be killed. */
    public static final class Holder {
        private Holder() {}

        /** Arguments: pid and QMP socket. */
        public static void main(String[] args) throws Exception {
            try (QmpConnection qmp = QmpConnection.open(Path.of(args[1]), TIMEOUT_NS);
                    Pidfd process = Pidfd.open(Long.parseLong(args[0]));
                    HeldSave save = new HeldSave(qmp, process);
                    Handover handover = Handover.attach(save, process)) {
                freeze(save, handover, ByteBuffer.allocateDirect(1 << 20));
                System.out.print("FROZEN");
                System.out.flush();
                int end = System.in.read();
                System.exit(end);
            }
        }
    }
}
