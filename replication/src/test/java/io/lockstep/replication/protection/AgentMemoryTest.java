package io.lockstep.replication.protection;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class AgentMemoryTest {
    private static final long MIB = 1 << 20;
    private static final long GIB = 1 << 30;
    private final ProtectionSettings settings = TestSettings.of(8192, 64 * MIB, Path.of("unused"));

    @Test
    void shouldRefuseAVmWhosePagesDoNotFitIntoTheHeap() {
        AgentMemory memory = new AgentMemory(100 * MIB, 512 * MIB, 4 * GIB, 4 * GIB);
        assertThatCode(() -> memory.require("vm", 128 * GIB, settings, 1, false))
                .doesNotThrowAnyException();
        assertThatThrownBy(() -> memory.require("vm", 256 * GIB, settings, 1, false))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("agent-memory-full"))
                .hasMessage(
                        "Protecting vm takes 195 MiB of this agent's heap, of whose 512 MiB 100 are free. Set -Xmx higher in the"
                                + " agent's jvm.options and restart it, or protect fewer VMs from this host.");
    }

    @Test
    void shouldRefuseAVmWhosePipelineDoesNotFitIntoDirectMemory() {
        AgentMemory memory = new AgentMemory(400 * MIB, 512 * MIB, 100 * MIB, 4 * GIB);
        assertThatThrownBy(() -> memory.require("vm", GIB, settings, 0, true))
                .hasMessageStartingWith(
                        "Protecting vm takes 205 MiB of this agent's direct memory, of whose 4096 MiB 100 are free.");
    }

    @Test
    void shouldSeeWhatIsTakenNow() {
        ByteBuffer taken = ByteBuffer.allocateDirect((int) (32 * MIB));
        AgentMemory now = AgentMemory.now();
        assertThat(now.heapMax()).isEqualTo(Runtime.getRuntime().maxMemory());
        assertThat(now.heapFree()).isBetween(1L, now.heapMax() - 1);
        assertThat(now.directFree()).isBetween(0L, now.directMax() - taken.capacity());
    }
}
