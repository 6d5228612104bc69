package io.lockstep.telemetry.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class HardwareEventTest {
    private static final int UNKNOWN = Component.UNKNOWN;

    private static HardwareEvent event(Severity severity, Component component, long address, long count) {
        return new HardwareEvent(1_700_000_000_000L, severity, component, address, count, "edac", "memory read error");
    }

    @Test
    void shouldSayEverythingThatIsKnown() {
        Component dimm = new Component.Memory("DIMM_A1", 0, 1, 0, 1, 3, 0x1a2, 0x10);
        assertThat(event(Severity.CORRECTED, dimm, 0x12345000, 3).line())
                .isEqualTo("corrected error on DIMM DIMM_A1 (socket 0, channel 1, slot 0, rank 1, bank 3, row 0x1a2,"
                        + " column 0x10) at address 0x12345000, 3 times: memory read error (edac)");
    }

    @Test
    void shouldLeaveOutWhatIsNotKnown() {
        Component dimm = new Component.Memory("", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
        assertThat(event(Severity.RECOVERABLE, dimm, HardwareEvent.NO_ADDRESS, 1)
                        .line())
                .isEqualTo("uncorrected error on a DIMM: memory read error (edac)");
        assertThat(new Component.Cpu(UNKNOWN, UNKNOWN, UNKNOWN).words()).isEqualTo("a CPU");
    }

    @Test
    void shouldNameEveryKindOfComponent() {
        assertThat(new Component.Cpu(1, 12, 25).words()).isEqualTo("CPU 25 (socket 1, core 12)");
        assertThat(new Component.Pcie(0, 0x3b, 0, 1).words()).isEqualTo("PCIe device 0000:3b:00.1");
        assertThat(new Component.PhysicalAddress(0x4000, 4096).words())
                .isEqualTo("memory at physical address 0x4000 (4096 bytes)");
        assertThat(new Component.Nic("eth0").words()).isEqualTo("network interface eth0");
        assertThat(new Component.Sensor("k10temp", "Tctl").words()).isEqualTo("sensor k10temp/Tctl");
        assertThat(new Component.Sensor("", "Tctl").words()).isEqualTo("sensor Tctl");
    }

    @Test
    void shouldCountEventsOfOneModuleTogether() {
        Component.Memory one = new Component.Memory("A1", 0, 1, 0, 1, 3, 5, 7);
        Component.Memory other = new Component.Memory("A1", 0, 1, 0, 0, 2, 6, 8);
        assertThat(one.module()).isEqualTo(other.module()).hasSameHashCodeAs(other.module());
    }

    @Test
    void shouldOrderSeveritiesFromMildToFatalWithStableCodes() {
        assertThat(Arrays.stream(Severity.values()).map(Severity::code)).containsExactly(0, 1, 2, 3, 4);
        assertThat(Severity.FATAL).isGreaterThan(Severity.RECOVERABLE);
    }

    @Test
    void shouldRefuseNumbersThatCannotBe() {
        assertThatThrownBy(() -> event(Severity.CORRECTED, new Component.Nic("eth0"), 0, 0))
                .hasMessage("count 0 < 1");
        assertThatThrownBy(() -> event(Severity.CORRECTED, new Component.Nic("eth0"), -2, 1))
                .hasMessage("address -2 < -1");
        assertThatThrownBy(() -> new Component.Cpu(-2, 0, 0)).hasMessage("socket -2 < -1");
        assertThatThrownBy(() -> new Component.Pcie(0, 256, 0, 0)).hasMessage("no PCI address: 0:256:0.0");
        assertThatThrownBy(() -> new Component.PhysicalAddress(0, 3)).hasMessage("no address range: 0, 3 bytes");
    }
}
