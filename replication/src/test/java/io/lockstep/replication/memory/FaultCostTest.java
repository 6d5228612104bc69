package io.lockstep.replication.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.ProcMaps;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("kernel")
class FaultCostTest {
    @Test
    void shouldMeasureAFaultAndLeaveNothingWatched() throws Exception {
        // No processor enters the kernel and comes back in less.
        assertThat(FaultCost.measureNs()).isGreaterThan(50);
        assertThat(ProcMaps.detailed(ProcessHandle.current().pid()))
                .noneMatch(map -> map.vmFlags().contains("uw"));
    }
}
