package io.lockstep.agent.system;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.Promotion;
import io.lockstep.replication.hypervisor.QmpConnection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.awaitility.core.ConditionTimeoutException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Memory that is not the guest's main memory is there after a failover, too, byte for byte. */
@Tag("system")
class ContentTest {
    private static final long QMP_NS = 5_000_000_000L;
    private static final Path OVMF = Path.of("/usr/share/OVMF");

    /**
     * QEMU 7.2's TCG loses a timer interrupt now and then while the guest is in its firmware. A kernel that asks for each tick anew then stands still
     * until some other interrupt comes: three of four guests did so within a minute, in a QEMU that nobody else touched, and none of four with this.
     */
    private static final String PERIODIC_TICK = "nohz=off highres=off";

    /** The operator stops the VM, its QEMU is killed, and the peer's has the same memory; then it runs on there. */
    private static Promotion failOverStopped(TwoHosts hosts, SystemVm vm, String name, String block, int pagesMin)
            throws Exception {
        RamContent before;
        try (QmpConnection monitor = vm.monitor()) {
            monitor.execute("stop");
            // Of the next ones at least one began after the stop: no more than four are on their way.
            hosts.a().awaitEpochs(name, 6);
            before = RamContent.of(monitor, vm.pid());
        }
        assertThat(before.distinctPages(block)).isGreaterThan(pagesMin);
        vm.kill();
        Promotion there = hosts.b().awaitPromotion(name);
        assertThat(there.reason()).isEqualTo("vm-died");
        try (QmpConnection monitor = QmpConnection.open(Path.of(there.qmpPath()), QMP_NS)) {
            assertThat(monitor.execute("query-status").path("status").asText()).isEqualTo("paused");
            before.assertSame(RamContent.of(monitor, there.pid()));
            monitor.execute("cont");
        }
        awaitSweep(vm, there);
        return there;
    }

    private static void awaitSweep(SystemVm vm, Promotion there) throws Exception {
        try {
            vm.chain().awaitSweep();
        } catch (ConditionTimeoutException e) {
            throw new AssertionError(e.getMessage() + "\n" + whereItHangs(there), e);
        }
    }

    /** What the guest's processor and its interrupt controllers do, twice, for a guest that does not go on. */
    private static String whereItHangs(Promotion there) throws Exception {
        StringBuilder text = new StringBuilder();
        try (QmpConnection monitor = QmpConnection.open(Path.of(there.qmpPath()), QMP_NS)) {
            for (int i = 0; i < 2; i++) {
                for (String command : List.of("info status", "info registers", "x /8i $pc", "info pic", "info lapic")) {
                    text.append(command)
                            .append('\n')
                            .append(monitor.execute("human-monitor-command", Map.of("command-line", command))
                                    .asText());
                }
            }
        }
        return text.toString();
    }

    @Test
    @Timeout(90)
    void shouldResumeWithTheScreenWhenTheGuestDraws() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            SystemVm vm = hosts.boot(
                    SystemVm.Boot.micro("vm1", "-device", "VGA,id=vga,addr=2", "-append", SystemVm.CHAIN + " vram=64"));
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            vm.chain().awaitSweep();
            hosts.a().awaitEpochs("vm1", 5);
            hosts.a().verify("vm1");
            failOverStopped(hosts, vm, "vm1", "0000:00:02.0/vga.vram", 64);
        }
    }

    @Test
    @Timeout(150)
    void shouldResumeWithItsVariablesWhenTheFirmwareWritesFlash() throws Exception {
        try (TwoHosts hosts = new TwoHosts()) {
            Path variables = hosts.directory().resolve("variables.fd");
            Files.copy(OVMF.resolve("OVMF_VARS_4M.fd"), variables);
            SystemVm vm = hosts.boot(SystemVm.Boot.linux(
                    "vm1",
                    "efi=50 " + PERIODIC_TICK,
                    "-drive",
                    "if=pflash,format=raw,readonly=on,file=" + OVMF.resolve("OVMF_CODE_4M.fd"),
                    "-drive",
                    "if=pflash,format=raw,file=" + variables));
            awaitWrite(variables);
            hosts.a().protectWithStandby(vm.pid(), hosts.b());
            for (int i = 0; i < 3; i++) {
                awaitWrite(variables);
                hosts.a().awaitEpochs("vm1", 5);
                hosts.a().verify("vm1");
            }
            Promotion there = failOverStopped(hosts, vm, "vm1", "system.flash1", 4);
            awaitWrite(variables);

            hosts.b().protectWithStandby(there.pid(), hosts.a());
            awaitWrite(variables);
            hosts.b().verify("vm1");
            hosts.b().switchover("vm1");
            awaitSweep(vm, hosts.a().awaitPromotion("vm1"));
            awaitWrite(variables);
        }
    }

    /** Returns when the firmware has written its variables again, and they reached the file. */
    private static void awaitWrite(Path variables) throws Exception {
        byte[] before = Files.readAllBytes(variables);
        Waits.until("a write to " + variables, 30, () -> !Arrays.equals(before, Files.readAllBytes(variables)));
    }
}
