package io.lockstep.replication.hypervisor;

import java.util.List;
import java.util.Set;

/**
 * What protection must know of a QEMU that it accepts.
 *
 * @param version its release
 * @param machineType resolved, e.g. {@code pc-q35-7.2}
 * @param deviceTypes QEMU's names of its devices
 * @param pluggedDevices those that its command line or its operator gave it, e.g. {@code virtio-rng-pci rng1}
 * @param hasDiscardDevice whether a balloon or virtio-mem may punch holes into shared memory behind the tracker's back
 * @param earlyArmingSafe whether pages may be protected again while the VM runs: no descriptor is O_DIRECT, no vhost and no VFIO is there
 */
public record QemuFacts(
        QemuVersion version,
        String machineType,
        Set<String> deviceTypes,
        List<String> pluggedDevices,
        boolean hasDiscardDevice,
        boolean earlyArmingSafe) {
    public QemuFacts {
        deviceTypes = Set.copyOf(deviceTypes);
        pluggedDevices = List.copyOf(pluggedDevices);
    }
}
