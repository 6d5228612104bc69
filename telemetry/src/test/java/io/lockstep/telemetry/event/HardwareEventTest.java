package io.lockstep.telemetry.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class HardwareEventTest {
    private static final int UNKNOWN = Component.UNKNOWN;

    private static HardwareEvent event(Severity severity, Component component, long address, long count) {
        return new HardwareEvent(
                1_700_000_000_000L,
                EventKind.MEMORY_ERROR,
                severity,
                component,
                address,
                count,
                "edac",
                "memory read error",
                Raw.NONE);
    }

    @Test
    void shouldSayEverythingThatIsKnown() {
        Component dimm = Component.Memory.ANYWHERE
                .labelled("A2")
                .at(0, UNKNOWN, 1, 0)
                .identified(32L << 30, "12AB")
                .place(1, 3, 0x1a2, 0x10);
        assertThat(event(Severity.CORRECTED, dimm, 0x12345000, 3).line())
                .isEqualTo(
                        "corrected error on DIMM CPU0 channel 1 slot 0 (A2), 32 GiB, serial 12AB, rank 1, bank 3, row 0x1a2,"
                                + " column 0x10 at address 0x12345000, 3 times: memory read error (edac)");
    }

    @Test
    void shouldLeaveOutWhatIsNotKnown() {
        Component.Memory dimm = Component.Memory.ANYWHERE;
        assertThat(event(Severity.RECOVERABLE, dimm, HardwareEvent.NO_ADDRESS, 1)
                        .line())
                .isEqualTo("uncorrected error on a DIMM: memory read error (edac)");
        assertThat(dimm.at(1, UNKNOWN, 2, UNKNOWN).words()).isEqualTo("memory of CPU1 channel 2");
        assertThat(dimm.labelled("B1").identified(512L << 20, "").words()).isEqualTo("DIMM B1, 512 MiB");
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
        assertThat(new Component.Host("").words()).isEqualTo("this host");
        assertThat(new Component.Host("power supplies").words()).isEqualTo("power supplies");
        assertThat(new Component.Guest("web1").words()).isEqualTo("virtual machine web1");
        assertThat(new Component.Sensor("", "Tctl").words()).isEqualTo("sensor Tctl");
    }

    @Test
    void shouldCountEventsOfOneModuleTogether() {
        Component.Memory one =
                Component.Memory.ANYWHERE.labelled("A1").at(0, 0, 1, 0).place(1, 3, 5, 7);
        Component.Memory other =
                Component.Memory.ANYWHERE.labelled("A1").at(0, 0, 1, 0).place(0, 2, 6, 8);
        assertThat(one.module()).isEqualTo(other.module()).hasSameHashCodeAs(other.module());
    }

    @Test
    void shouldOrderSeveritiesFromMildToFatalWithStableCodes() {
        assertThat(Arrays.stream(Severity.values()).map(Severity::code)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7);
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

    @Test
    void shouldFillWhatOneSourceLacksFromTheOther() {
        Component.Memory channel =
                Component.Memory.ANYWHERE.at(0, UNKNOWN, 1, UNKNOWN).place(1, 3, 5, 7);
        Component.Memory label =
                Component.Memory.ANYWHERE.labelled("A2").at(0, 0, 1, 0).identified(1L << 30, "S");
        assertThat(channel.mayBe(label)).isTrue();
        assertThat(channel.oneModule()).isFalse();
        assertThat(channel.filledFrom(label))
                .isEqualTo(new Component.Memory("A2", 1L << 30, "S", 0, 0, 1, 0, 1, 3, 5, 7));
        assertThat(channel.mayBe(label.at(0, 0, 2, 0))).isFalse();
        assertThat(label.mayBe(label.labelled("B2"))).isFalse();
    }

    @Test
    void shouldKeepABoundedPartOfARawText() {
        assertThat(new Raw.Text("x".repeat(5000)).words()).hasSize(Raw.CHARS_MAX);
    }

    @Test
    void shouldCallForASwitchoverWhenDataIsLostOrRedundancyIsGone() {
        assertThat(event(Severity.CORRECTED, Component.Memory.ANYWHERE, 0, 1).immediate())
                .isFalse();
        assertThat(event(Severity.DEFERRED, Component.Memory.ANYWHERE, 0, 1).immediate())
                .isTrue();
        assertThat(EventKind.MIRROR_FAILOVER.immediate()).isTrue();
    }
}
