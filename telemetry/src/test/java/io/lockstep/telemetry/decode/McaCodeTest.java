package io.lockstep.telemetry.decode;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.telemetry.event.EventKind;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Expected classes and fields: Intel SDM volume 3B, tables 16-10 to 16-17. */
class McaCodeTest {
    @Test
    void shouldKnowEveryClassAndNeverFailOverAllCodes() {
        Set<McaCode.Type> reached = EnumSet.noneOf(McaCode.Type.class);
        for (int code = 0; code < 0x10000; code++) {
            McaCode decoded = McaCode.of(code);
            reached.add(decoded.type());
            assertThat(decoded.words()).isNotBlank();
            assertThat(decoded.channel()).isBetween(-1, 14);
            assertThat(decoded).as("filter bit of %x", code).isSameAs(McaCode.of(code ^ 0x1000));
            assertThat(decoded.type()).as("class of %x", code).isEqualTo(type(code & 0xefff));
        }
        assertThat(reached).isEqualTo(EnumSet.allOf(McaCode.Type.class));
    }

    /** The specification's masks, tried one after another: another way to the same answer. */
    private static McaCode.Type type(int code) {
        if (code >= 0x1000) {
            return McaCode.Type.UNKNOWN;
        }
        if (code == 0) {
            return McaCode.Type.NONE;
        }
        if (code <= 6) {
            return McaCode.Type.SIMPLE;
        }
        if (code >>> 2 == 3) {
            return McaCode.Type.HIERARCHY;
        }
        if (code >>> 4 == 1) {
            return McaCode.Type.TLB;
        }
        if (code >>> 7 == 1) {
            return McaCode.Type.MEMORY_CONTROLLER;
        }
        if (code >>> 8 == 1) {
            return McaCode.Type.CACHE;
        }
        if (code >>> 7 == 5) {
            return McaCode.Type.MEMORY_CACHE;
        }
        if (code == 0x400) {
            return McaCode.Type.TIMER;
        }
        if (code >>> 10 == 1) {
            return McaCode.Type.INTERNAL;
        }
        return code >>> 11 == 1 ? McaCode.Type.BUS : McaCode.Type.UNKNOWN;
    }

    @Test
    void shouldSayEachFieldInWords() {
        assertThat(McaCode.of(5).words()).isEqualTo("internal parity error");
        assertThat(McaCode.of(0x0e).words()).isEqualTo("level-2 error of the cache hierarchy");
        assertThat(McaCode.of(0x14).words()).isEqualTo("level-0 data TLB error");
        assertThat(McaCode.of(0x91))
                .isEqualTo(new McaCode(McaCode.Type.MEMORY_CONTROLLER, EventKind.MEMORY_ERROR, "memory read error", 1));
        assertThat(McaCode.of(0xcf).words()).isEqualTo("memory scrub error");
        assertThat(McaCode.of(0xcf).channel()).isEqualTo(-1);
        assertThat(McaCode.of(0x134).words()).isEqualTo("level-0 data cache error on a data read");
        assertThat(McaCode.of(0x17a).words()).isEqualTo("level-2 generic cache error on an eviction");
        assertThat(McaCode.of(0x290).words()).isEqualTo("memory read error in memory used as a cache");
        assertThat(McaCode.of(0x1400).words()).isEqualTo("internal timer error: no instruction retired for too long");
        assertThat(McaCode.of(0xe0b).words()).isEqualTo("I/O error of a device or its link");
        assertThat(McaCode.of(0x913).words())
                .isEqualTo(
                        "unspecified-level bus or link error on a read, request of this processor to memory, timed out");
        assertThat(McaCode.of(0xd1))
                .as("an operation that the specification keeps for later is of memory, too")
                .isEqualTo(new McaCode(
                        McaCode.Type.MEMORY_CONTROLLER, EventKind.MEMORY_ERROR, "memory error on operation 5", 1));
        assertThat(McaCode.of(0x2ff).words()).isEqualTo("memory error on operation 7 in memory used as a cache");
        assertThat(McaCode.of(0x1f9).words()).isEqualTo("level-1 generic cache error on request 15");
        assertThat(McaCode.of(0x890).words())
                .isEqualTo("level-0 bus or link error on request 9, request of this processor to memory");
        assertThat(McaCode.of(0x7).words()).isEqualTo("machine check of an unknown code");
    }
}
