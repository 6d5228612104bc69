package io.lockstep.replication.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.ReplicatedDisk;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which disk an operator means. */
class GuestDiskTest {
    private final List<GuestDisk> disks = List.of(
            new GuestDisk("#block123", "root", new ReplicatedDisk("drive0", "/vm/root.qcow2", "qcow2", 1 << 20), false),
            new GuestDisk("san-node", "", new ReplicatedDisk("san-node", "/san/lun0", "raw", 1 << 20), false));

    @Test
    void shouldKnowADiskByItsDriveDeviceNodeAndFile() throws Exception {
        for (String name : List.of("drive0", "root", "/vm/root.qcow2")) {
            assertThat(GuestDisk.declareShared(disks, "vm", List.of(name)))
                    .extracting(GuestDisk::shared)
                    .as(name)
                    .containsExactly(true, false);
        }
        assertThat(GuestDisk.declareShared(disks, "vm", List.of("san-node", "/san/lun0")))
                .extracting(GuestDisk::shared)
                .containsExactly(false, true);
        assertThat(GuestDisk.declareShared(disks, "vm", List.of())).isEqualTo(disks);
    }

    @Test
    void shouldNameTheNearestDiskWhenOneIsUnknown() {
        assertThatThrownBy(() -> GuestDisk.declareShared(disks, "vm", List.of("/san/lun1")))
                .isInstanceOf(LockstepException.class)
                .hasMessage(
                        "the configuration declares disk /san/lun1 of vm as shared, and vm has no such disk; the nearest name is"
                                + " /san/lun0. Its disks are drive0 (/vm/root.qcow2), san-node (/san/lun0).");
        assertThatThrownBy(() -> GuestDisk.declareShared(List.of(), "vm", List.of("x")))
                .hasMessage(
                        "the configuration declares disk x of vm as shared, and vm has no disk that its guest can write. Remove"
                                + " [vms.vm.disks.x].");
    }
}
