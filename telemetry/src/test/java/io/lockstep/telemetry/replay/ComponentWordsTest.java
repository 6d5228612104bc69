package io.lockstep.telemetry.replay;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.Component;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ComponentWordsTest {
    private static final String[] LABELS = {
        "", "A2", "DIMM_A1", "P1-DIMMA1", "NODE 1/A2", "CPU1 DIMM 3", "DIMM 2 (left)", "B, lower", "slot", "\u00e4"
    };

    private static int unknownOr(SplittableRandom random, int bound) {
        return random.nextInt(3) == 0 ? Component.UNKNOWN : random.nextInt(bound);
    }

    @Test
    void shouldFindTheWayBackFromTheWordsOfAnyPart() {
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 20_000; i++) {
            Component.Memory memory = Component.Memory.ANYWHERE
                    .labelled(LABELS[random.nextInt(LABELS.length)])
                    .identified(
                            random.nextInt(3) == 0 ? 0 : (long) (random.nextInt(1 << 20) + 1) << 20,
                            random.nextBoolean() ? "" : "12AB-" + random.nextInt(1000))
                    .at(unknownOr(random, 8), unknownOr(random, 8), unknownOr(random, 12), unknownOr(random, 2))
                    .place(
                            unknownOr(random, 8),
                            unknownOr(random, 32),
                            unknownOr(random, 1 << 20),
                            unknownOr(random, Integer.MAX_VALUE));
            assertThat(ComponentWords.parse(memory.words())).as(memory.words()).isEqualTo(memory);
            Component cpu = new Component.Cpu(unknownOr(random, 8), unknownOr(random, 64), unknownOr(random, 512));
            assertThat(ComponentWords.parse(cpu.words())).isEqualTo(cpu);
        }
        for (Component component : new Component[] {
            new Component.Pcie(0x10000, 0xff, 0x1f, 7),
            new Component.PhysicalAddress(0x7000000, 4096),
            new Component.Host(""),
            new Component.Host("power supplies"),
            new Component.Guest("web 1"),
            new Component.Nic("bond0"),
            new Component.Sensor("k10temp", "Tctl"),
            new Component.Sensor("", "x86_pkg_temp")
        }) {
            assertThat(ComponentWords.parse(component.words())).isEqualTo(component);
        }
        assertThat(ComponentWords.parse("PCIe device 00/1")).isEqualTo(new Component.Host("PCIe device 00/1"));
    }
}
