package io.lockstep.replication.replica;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class DrillMemoryTest {
    @Test
    void shouldRefuseWhenTheMemoryIsTooSmall() {
        assertThatThrownBy(() -> Drill.checkMemory(Path.of("/dev/shm/lockstep"), 999, 1000))
                .isInstanceOfSatisfying(
                        LockstepException.class, e -> assertThat(e.code()).isEqualTo("drill-memory-too-small"))
                .hasMessage(
                        "Free memory for /dev/shm/lockstep 999 < 1000 bytes of a second copy of the VM's RAM and 268435456 for"
                                + " QEMU: nothing was tried. Free memory, or enlarge the tmpfs.");
        assertThatCode(() -> Drill.checkMemory(Path.of("/dev/shm/lockstep"), 1000, 1000))
                .doesNotThrowAnyException();
    }
}
