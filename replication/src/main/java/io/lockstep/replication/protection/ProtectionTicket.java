package io.lockstep.replication.protection;

import io.lockstep.replication.disk.GuestDisk;
import io.lockstep.replication.hypervisor.HostRamBlock;
import io.lockstep.replication.link.SessionHello;
import java.util.UUID;

/**
 * Which VM is protected, under which name; the same over restarts of the agent.
 *
 * @param vmName QEMU's {@code -name}, or {@code pid-PID}
 * @param vmId random, made at the first protect of this QEMU process
 * @param agentVersion of this agent
 */
public record ProtectionTicket(String vmName, UUID vmId, String agentVersion) {
    /**
     * What the peer is told first.
     *
     * @param version of the protocol, the newest that may be spoken
     * @param lastAckedEpoch the replica must have this one, or it is copied anew; -1: any will do
     * @param lastSentEpoch the replica must have none after this one
     * @param imagesId of the peer's images whose content is known; 0: none
     */
    public SessionHello hello(
            int version,
            AttachedVm vm,
            ProtectionSettings settings,
            long lastAckedEpoch,
            long lastSentEpoch,
            long imagesId) {
        return new SessionHello(
                version,
                vmId.getMostSignificantBits(),
                vmId.getLeastSignificantBits(),
                lastAckedEpoch,
                lastSentEpoch,
                imagesId,
                settings.failureTimeoutMs(),
                settings.agentRestartMs(),
                vm.process().uid(),
                vm.process().gid(),
                vm.blocks().stream().map(HostRamBlock::block).toList(),
                vm.mirroredDisks().stream().map(GuestDisk::disk).toList(),
                vm.sharedDisks().stream().map(GuestDisk::label).toList(),
                vmName,
                agentVersion,
                vm.facts().version().toString(),
                vm.facts().machineType(),
                vm.process().commandLine(),
                vm.process().workingDirectory().toString(),
                vm.facts().pluggedDevices(),
                settings.host());
    }
}
